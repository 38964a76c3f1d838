-- The page that gpu_report.lua writes, in Markdown: what it ran on, the specs, a table for each network,
-- what failed and why, what was left out and why. MB are 2^20 bytes.

local ranks = require "gpu_report_ranks"

local page = {}

local STATES = {
  ["under way"] = "under way: what is not here yet may still come",
  complete = "complete",
  ["out of time"] = "the time was over before everything was measured",
  interrupted = "interrupted",
}

local PRECISIONS = { single = 1, tf32 = 2, bfloat16 = 3, half = 4 }

local LEGEND = [[
MB are 2^20 bytes. A step is forward, cross-entropy, backward and SGD on random images that are on the GPU already.

- precision: of densenet as `-precision` says; the peer computes bfloat16 and half by autocast.
- memory: `-optMemory` of densenet; for the peer standard or efficient (recomputing), its layout, its compilation.
- seconds a step: the median of the timed steps, the GPU waited for after each; least is the fastest of them.
- images a second: images of a step divided by the median.
- MB planned: what `-plan` says of a step before it is run.
- MB measured: the most that tensors and scratch held at once during the run, parameters and all; of PyTorch, its
  `max_memory_allocated`.
- MB reserved: what densenet had from the driver for it, blocks kept for later included. What CUDA itself takes for a
  process is in none of these.]]

local function number(format, value) return type(value) == "number" and format:format(value) or "" end

-- Of a cell of a table.
local function plain(text) return (tostring(text):gsub("[|\r\n]", " ")) end

local function join(list, separator)
  local known = {}
  for _, text in ipairs(list) do known[#known + 1] = text or nil end
  return table.concat(known, separator)
end

local function add(lines, format, ...) lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format end

-- "label text", or false where there is no text.
local function labelled(label, text) return text and label .. " " .. text or false end

local function addFacts(lines, about)
  add(lines, "# densenet on %s", about.product)
  add(lines, "")
  if about.emulated then
    add(lines, "**This is the emulation on the host, for tests of this report: its times say nothing of a GPU.**")
    add(lines, "")
  end
  add(lines, "- Report: %s; %s, %d s of %g minutes", STATES[about.state], about.date, about.seconds, about.minutes)
  add(lines, "- GPU: %s, %s, compute capability %s, %.0f MB of memory, %.0f MB of them free at the start",
    about.device, about.product, about.capability, about.memory_mb, about.free_mb)
  add(lines, "- CUDA: %s", join({ labelled("driver", about.driver), "the driver's CUDA " .. about.cuda_driver,
    "runtime " .. about.cuda_runtime, "cuBLAS " .. about.cublas, "cuDNN " .. about.cudnn }, ", "))
  add(lines, "- densenet: %s", join({ about.densenet, "commit " .. about.commit,
    labelled("built by", about.compiler) }, ", "))
  add(lines, "- Host: %s", join({ about.processor or false, about.threads .. " threads", about.system or false,
    about.lua or false }, ", "))
  add(lines, "- Peer: %s", about.peer and join({ about.peer,
    about.peer_libraries or "what it stands on is not known" }, ", ") or "none was given (-peer)")
  add(lines, "- Options: `%s`", about.command)
  add(lines, "")
end

--- What came of a spec file, in a few words.
function page.specText(one)
  local counts = one.passed and ("%d passed, %d failed, %d skipped"):format(one.passed, one.failed, one.skipped)
  if one.state == "passed" then return counts end
  if one.state == "failed" then return join({ counts, one.failed == 0 and one.reason or false }, "; ") end
  if one.state == "not run" then return "not run: the specs' part of the time was over" end
  return ("%s, nothing is known of its tests"):format(one.state == "too slow" and "cut off: " .. one.reason
    or "crashed: " .. one.reason)
end

local function addSpecs(lines, specs)
  add(lines, "## Specs of CUDA")
  add(lines, "")
  if #specs == 0 then
    add(lines, "None were run.")
    add(lines, "")
    return
  end
  add(lines, "| file | result | seconds |")
  add(lines, "|---|---|---|")
  for _, one in ipairs(specs) do
    add(lines, "| %s | %s | %s |", plain(one.file), plain(page.specText(one)), number("%.1f", one.seconds))
  end
  add(lines, "")
  for _, one in ipairs(specs) do
    if one.output then
      add(lines, "What %s printed:", one.file)
      add(lines, "")
      add(lines, "```")
      add(lines, "%s", (one.output:gsub("```", "'''"):gsub("%s+$", "")))
      add(lines, "```")
      add(lines, "")
    end
  end
end

local function programOf(one)
  if one.who == "densenet" then return "densenet" end
  return one.result and one.result.peer or "peer"
end

--- What came of a measurement, in a line.
function page.measurementText(one)
  local what = ("%s, %d images, %s, %s, %s: "):format(one.network, one.batch, programOf(one), one.memory,
    one.precision)
  local result = one.result
  if not result then return what .. join({ one.state, one.reason or false }, ": ") end
  return what .. join({ ("%.5f seconds a step"):format(result.median_s),
    number("%.1f MB", result.peak_mb), one.reason or false }, ", ")
end

local function rowOf(one)
  local result = one.result or {}
  return ("| %s | %s | %s | %s | %s | %s | %s | %s | %s |"):format(one.precision, plain(programOf(one)), one.memory,
    one.result and ("%.5f"):format(result.median_s) or "**" .. one.state .. "**", number("%.5f", result.min_s),
    number("%.0f", result.median_s and one.batch / result.median_s),
    number("%.1f", result.planned_mb or one.planned_mb), number("%.1f", result.peak_mb),
    number("%.1f", result.reserved_mb))
end

-- A list of lists: measurements that have the same `key(one)`, in the order in which the first came.
local function groups(list, key)
  local found, order = {}, {}
  for _, one in ipairs(list) do
    local name = key(one)
    if not found[name] then
      found[name] = {}
      order[#order + 1] = found[name]
    end
    table.insert(found[name], one)
  end
  return order
end

local function networkOf(one)
  return ("%s, %d images of %dx%d, %d classes"):format(one.network, one.batch, one.size, one.size, one.classes)
end

-- By precision, then densenet's modes, then the peer.
local function comesBefore(a, b)
  if a.precision ~= b.precision then return PRECISIONS[a.precision] < PRECISIONS[b.precision] end
  if a.who ~= b.who then return a.who == "densenet" end
  return a.memory < b.memory
end

local function addTables(lines, tried)
  add(lines, "## Training steps")
  add(lines, "")
  add(lines, "%s", LEGEND)
  add(lines, "")
  if #tried == 0 then
    add(lines, "Nothing was measured.")
    add(lines, "")
  end
  for _, list in ipairs(groups(tried, networkOf)) do
    add(lines, "### %s", networkOf(list[1]))
    add(lines, "")
    add(lines, "Timed steps: %d.", list[1].steps)
    add(lines, "")
    add(lines, "| precision | program | memory | seconds a step | least | images a second | MB planned "
      .. "| MB measured | MB reserved |")
    add(lines, "|---|---|---|---|---|---|---|---|---|")
    table.sort(list, comesBefore)
    for _, one in ipairs(list) do add(lines, "%s", rowOf(one)) end
    add(lines, "")
  end
end

local function addFailures(lines, tried)
  local failed = {}
  for _, one in ipairs(tried) do
    if one.reason then failed[#failed + 1] = one end
  end
  if #failed == 0 then return end
  add(lines, "## What failed")
  add(lines, "")
  for _, one in ipairs(failed) do
    add(lines, "- %s", plain(page.measurementText(one)))
    add(lines, "  `%s`", one.command:gsub("^exec ", ""))
  end
  add(lines, "")
end

local function addRest(lines, leftOut, n, state)
  if #leftOut == 0 then return end
  add(lines, "## What was left out")
  add(lines, "")
  local why = state == "under way" and "not yet measured" or state == "interrupted" and "the report was interrupted"
    or "no time was left"
  for _, alike in ipairs(groups(leftOut, function(one) return one.reason or why end)) do
    add(lines, "%d of %d measurements, because: %s.", #alike, n, plain(alike[1].reason or why))
    add(lines, "")
    for _, list in ipairs(groups(alike, function(one) return one.network .. one.who .. one.memory end)) do
      local precisions = {}
      for i, one in ipairs(list) do precisions[i] = one.precision end
      add(lines, "- %s, %s, %s: %s", list[1].network, programOf(list[1]), list[1].memory,
        table.concat(precisions, ", "))
    end
    add(lines, "")
  end
end

-- @param report { about =, specs =, measurements = } of gpu_report.lua
-- @return the page's text
local function write(report)
  local lines, tried, leftOut = {}, {}, {}
  for _, one in ipairs(report.measurements) do
    table.insert(one.state == "not run" and leftOut or tried, one)
  end
  addFacts(lines, report.about)
  addSpecs(lines, report.specs)
  ranks.addTo(lines, report.ranks, report.about.gpus)
  addTables(lines, tried)
  addFailures(lines, tried)
  addRest(lines, leftOut, #report.measurements, report.about.state)
  return table.concat(lines, "\n")
end

return setmetatable(page, { __call = function(_, report) return write(report) end })
