-- scripts/gpu_report.lua as its user meets it, on a tiny network: the page and the figures it writes,
-- also when something fails, when there is no time, and while it is under way.

local core = require "densenet.core"
local dn = require "densenet"
local temporary = require "spec.support.temporary"

local is_emulated = core.testing.cuda_emulation("reverse", 0)

-- Prints what a peer prints; crashes where it should save memory. Copies what the report has so far.
local PEER = [[
cp "$COPY_FROM.md" "$COPY_FROM.during.md"
cp "$COPY_FROM.json" "$COPY_FROM.during.json"
case "$*" in *efficient*) echo 'Traceback: no such checkpoint' >&2; exit 3;; esac
echo 'a word before'
echo '{"peer": "fake 1.0", "median_s": 0.5, "min_s": 0.25, "peak_mb": 12.5}'
]]

describe("gpu_report.lua", function()
  local directory, out
  before_each(function()
    directory = temporary.directory()
    out = directory .. "/report"
    temporary.write(directory .. "/peer.sh", PEER)
  end)
  after_each(function() temporary.remove(directory) end)

  -- Returns the exit status, and all that was printed; without several GPUs unless `ranks` is "".
  local function run(line, ranks)
    local pipe = assert(io.popen(("COPY_FROM='%s' '%s' scripts/gpu_report.lua -tiny -skipBuild %s -steps 1 %s 2>&1")
      :format(out, temporary.interpreter(), ranks or "-skipRanks", line)))
    local text = pipe:read("a")
    local _, _, status = pipe:close()
    return status, text
  end

  local function results(name)
    local report = assert(dn.json.decode(temporary.read(name .. ".json")))
    local by_name = {}
    for _, one in ipairs(report.measurements) do
      if one.batch == 8 then by_name[one.memory .. ", " .. one.precision] = one end
    end
    return by_name, report, temporary.read(name .. ".md")
  end

  local function has(page, text) assert.is_truthy(page:find(text, 1, true), text .. " is missing in:\n" .. page) end

  it("writes what was measured and what failed, as it comes", function()
    local status, output = run(("-out '%s' -skipSuite -python sh -peer '%s/peer.sh'"):format(out, directory))
    assert.equal(0, status, output)
    local found, report, page = results(out)
    assert.equal("complete", report.about.state)
    assert.equal(5, #report.measurements)
    has(page, "# densenet on " .. dn.device("cuda").product)
    has(page, "Report: complete")
    has(page, "Specs of CUDA\n\nNone were run.")
    assert.matches("cuBLAS %d+%.%d+%.%d+, cuDNN %d+%.%d+%.%d+\n", page)
    assert.equal(is_emulated, page:find("This is the emulation on the host", 1, true) ~= nil)

    for _, name in ipairs { "-optMemory 4, single", "-optMemory 5, half" } do
      local result = found[name].result
      assert.equal("measured", found[name].state)
      assert.is_true(result.median_s > 0 and result.min_s > 0 and result.reserved_mb > 0)
      assert.is_true(math.abs(result.peak_mb / result.planned_mb - 1) < 0.02)
      has(page, ("| densenet | %s | %.5f | %.5f | %.0f | %.1f | %.1f | %.1f |"):format(found[name].memory,
        result.median_s, result.min_s, 8 / result.median_s, result.planned_mb, result.peak_mb, result.reserved_mb))
    end

    assert.equal("measured", found["standard, nhwc, single"].state)
    has(page, "| single | fake 1.0 | standard, nhwc | 0.50000 | 0.25000 | 16 |  | 12.5 |  |")
    assert.equal("failed", found["efficient, nhwc, single"].state)
    has(page, "| single | peer | efficient, nhwc | **failed** |  |")
    has(page, "efficient, nhwc, single: failed: Traceback: no such checkpoint (status 3)")

    local many = report.measurements[4]
    assert.equal(30000, many.batch)
    if is_emulated then
      assert.equal("out of memory", many.state)
      local plan = dn.models.withoutMemory({ depth = 40, growthRate = 12 }, "cuda:0"):plan { 30000, 3, 8, 8 }
      has(page, ("| single | densenet | -optMemory 4 | **out of memory** |  |  | %.1f |  |  |"):format(
        plan.totalBytes / 2 ^ 20))
      assert.matches("%-optMemory 4, single: out of memory: bench.lua: out of memory on cuda:0: %d+ bytes asked",
        page)
    end

    -- While the peer ran for the last time.
    local before, early, early_page = results(out .. ".during")
    assert.equal("under way", early.about.state)
    assert.equal("measured", before["standard, nhwc, single"].state)
    assert.equal("not run", before["-optMemory 5, half"].state)
    has(early_page, "Report: under way")
    has(early_page, "3 of 5 measurements, because: not yet measured.")
    has(early_page, "- DenseNet-BC(40,12), densenet, -optMemory 4: single\n"
      .. "- DenseNet-BC(10,4), densenet, -optMemory 5: half")
  end)

  it("runs specs, each file on its own, and lists what failed or was skipped", function()
    local broken, skipping = directory .. "/cuda_broken_spec.lua", directory .. "/cuda_skipping_spec.lua"
    local crashing = directory .. "/cuda_crashing_spec.lua"
    temporary.write(broken, [[it("is wrong", function() assert.equal(1, 2) end) it("is right", function() end)]])
    temporary.write(skipping, [[it("is not there", function() pending("no reason") end)]])
    temporary.write(crashing, [[os.execute("kill -KILL $PPID")]])
    local status, output = run(("-out '%s' -specs 'spec/cuda/cuda_feed_spec.lua %s %s %s' -python no-such-python "
      .. "-peer '%s/peer.sh'"):format(out, broken, skipping, crashing, directory))
    assert.equal(0, status, output)
    local found, report, page = results(out)
    local by_file = {}
    for _, one in ipairs(report.specs) do by_file[one.file:match("[^/]*$")] = one end
    assert.equal("passed", by_file["cuda_feed_spec.lua"].state)
    has(page, "| spec/cuda/cuda_feed_spec.lua | 5 passed, 0 failed, 0 skipped |")
    assert.equal("failed", by_file["cuda_broken_spec.lua"].state)
    has(page, "| 1 passed, 1 failed, 0 skipped |")
    has(page, "failed: is wrong")
    has(page, "| 0 passed, 0 failed, 1 skipped; status 1 |")
    has(page, "no reason")
    assert.equal("crashed", by_file["cuda_crashing_spec.lua"].state)
    has(page, "| crashed: signal 9, nothing is known of its tests |")

    -- A peer that cannot be started is tried once.
    assert.equal("failed", found["standard, nhwc, single"].state)
    assert.equal("not run", found["efficient, nhwc, single"].state)
    assert.equal("measured", found["-optMemory 5, half"].state)
    has(page, "1 of 5 measurements, because: the peer does not start: ")
    assert.equal("complete", report.about.state)
  end)

  it("measures several GPUs together, or one rank where there is one", function()
    if not core.comm_engine "nccl" then return pending "no nccl.so" end
    local status, output = run(("-out '%s' -skipSuite"):format(out), "")
    assert.equal(0, status, output)
    local _, report, page = results(out)
    local n = core.device_count "cuda"
    has(page, n == 1 and "One GPU is here: one rank, which goes every way but the wire. NCCL "
      or ("%d GPUs are here, each with a process. NCCL "):format(n))
    local found = {}
    for _, one in ipairs(report.ranks) do
      assert.equal("measured", one.state, one.reason)
      found[one.what .. one.ranks] = one
    end
    local sums = found["sums" .. (n > 1 and 2 or 1)].result
    assert.equal(4, #sums.sums)
    has(page, ("| %d | 65536 | %.1f | %.1f |"):format(sums.ranks, sums.sums[4].seconds * 1e6,
      sums.sums[4].apart_s * 1e6))
    if n > 1 then
      assert.same({ 8, 16, 8 }, { found.alone1.batch, found.weak2.batch, found.strong2.batch })
      local weak = found.weak2.result.median_s
      has(page, ("| 2 | 16 | weak | %.5f | %.5f | %.0f | %.0f %% |"):format(weak, found.weak2.result.min_s, 16 / weak,
        100 * found.alone1.result.median_s / weak))
    else
      assert.equal(1, #report.ranks)
    end
  end)

  it("lists all that the time did not reach", function()
    local status, output = run(("-out '%s' -minutes 0 -specs spec/cuda/cuda_feed_spec.lua"):format(out))
    assert.equal(0, status, output)
    local _, report, page = results(out)
    assert.equal("out of time", report.about.state)
    has(page, "the time was over before everything was measured")
    has(page, "| spec/cuda/cuda_feed_spec.lua | not run: the specs' part of the time was over |")
    has(page, "3 of 3 measurements, because: no time was left.")
    has(page, "Peer: none was given")
  end)

  it("refuses what it cannot do before it begins", function()
    for line, reason in pairs {
      ["-peer nothing.py"] = "-peer nothing.py: there is no such file", ["-minutes soon"] = "'soon'",
    } do
      local status, output = run(line)
      assert.equal(2, status)
      has(output, reason)
    end
    local status, output = run("-device cuda:15")
    assert.equal(1, status)
    assert.matches("^gpu_report.lua: [^\n]*cuda:15[^\n]*\n$", output)
    status, output = run(("-out '%s/nowhere/report'"):format(directory))
    assert.equal(1, status)
    assert.matches("^gpu_report.lua: cannot write [^\n]*nowhere[^\n]*\n$", output)
  end)
end)
