-- Others beside scripts/bench.lua: taking turns, ratios, what cannot be compared. The Python is a stand-in that says it
-- took half a second a step; DENSENET_PYTHON names a real one with torchvision and onnxruntime.
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"

local STAND_IN = [[#!/bin/sh
# "python -c 'import NAME'" finds every module but one; else each line "STEPS FILE" is answered.
if [ "$1" = -c ]; then case "$2" in *onnxruntime*) exit 1;; *) exit 0;; esac; fi
echo "$2" >> "$0.jobs"
while read -r steps file; do
  echo "$steps" >> "$0.jobs"
  if [ -e "$0.fails" ]; then echo '{"error":"RuntimeError: no memory"}' > "$file.part"
  else echo '{"seconds":[0.5,0.25,0.75],"rss_mb":100,"peak_mb":null,"version":"stand-in 1"}' > "$file.part"; fi
  mv "$file.part" "$file"
done
]]

describe("bench.lua -peer", function()
  local directory, python
  before_each(function()
    directory = temporary.directory()
    python = directory .. "/python"
    temporary.write(python, STAND_IN)
    assert(os.execute(("chmod +x '%s'"):format(python)))
  end)
  after_each(function() temporary.remove(directory) end)

  local function bench(words)
    local pipe = assert(io.popen(("'%s' scripts/bench.lua %s 2>&1; echo status $?"):format(temporary.interpreter(),
      words)))
    local text = pipe:read "a"
    pipe:close()
    local output, status = text:match "^(.-)status (%d+)%s*$"
    return output, tonumber(status)
  end
  local SMALL = "-depth 10 -growthRate 4 -batchSize 2 -size 8 -steps 2 -warmup 1 -nCores 1 "

  it("takes turns and gives the others' seconds by ours", function()
    local text, status = bench(SMALL .. ("-json -rounds 3 -peers nchw,checkpoint -peer '%s'"):format(python))
    assert.equal(0, status, text)
    local result = json.decode(text)
    assert.same({ "nchw", "checkpoint" }, { result.peers[1].word, result.peers[2].word })
    for _, peer in ipairs(result.peers) do
      assert.equal(0.5, peer.median_s)
      assert.equal("stand-in 1", peer.version)
      assert.equal(100, peer.rss_mb)
      assert.is_true(peer.ratio > 5) -- such a step takes us a few milliseconds
    end
    local jobs = temporary.read(python .. ".jobs")
    assert.equal(2, select(2, jobs:gsub('"growthRate":4', "")))
    assert.equal(2, select(2, jobs:gsub("\n1%f[\n]", ""))) -- the warm-up of each
    assert.equal(6, select(2, jobs:gsub("\n2%f[\n]", "")))
  end)

  it("says what the others took", function()
    local text, status = bench(SMALL .. ("-rounds 1 -peers nhwc -peer '%s'"):format(python))
    assert.equal(0, status, text)
    assert.is_truthy(text:find("PyTorch, channels_last (stand-in 1): 0.5000 s, ", 1, true), text)
    assert.is_truthy(text:find("times ours; 100.0 MB of process", 1, true), text)
  end)

  it("refuses what has nothing beside it, each in a sentence", function()
    local cases = {
      { "-peer no_such_python", 1, "no_such_python: is no Python that has torchvision" },
      { "-peers nchw,fast -peer '" .. python .. "'", 2, "-peers: got 'fast', expected words of nchw, nhwc" },
      { "-peers onnxruntime -peer '" .. python .. "'", 2, "-peers: onnxruntime does not train; add -infer" },
      { "-infer -peers checkpoint -peer '" .. python .. "'", 2, "checkpoint is a way to train; leave -infer out" },
      { "-infer -precision double -peers onnxruntime -peer '" .. python .. "'", 2, "in single precision only" },
      { "-infer -peers onnxruntime -peer '" .. python .. "'", 1, "is no Python that has onnxruntime" },
      { "-bottleneck false -peer '" .. python .. "'", 2, "only DenseNets with bottlenecks" },
    }
    for _, case in ipairs(cases) do
      local text, status = bench(SMALL .. case[1])
      assert.equal(case[2], status, text)
      assert.is_truthy(text:find(case[3], 1, true), text)
      assert.is_nil(text:find("traceback", 1, true), text)
    end
  end)

  it("passes on what went wrong there", function()
    temporary.write(python .. ".fails", "")
    local text, status = bench(SMALL .. ("-peers nchw -peer '%s'"):format(python))
    assert.equal(1, status)
    assert.is_truthy(text:find("PyTorch: RuntimeError: no memory", 1, true), text)
  end)

  it("makes a table of usual networks", function()
    local text, status = bench(("-table -only 'BC.22' -rounds 1 -nCores 1 -peers nchw -peer '%s'"):format(python))
    assert.equal(0, status, text)
    local ours, others = text:match("\n| step of DenseNet%-BC%(22,12%), 64 images, mode 4 | (%S+) s, %d+ MB "
      .. "| [%d ]*%%? ?| (.-) |\n")
    assert.is_true(tonumber(ours) > 0, text)
    assert.is_truthy(others:find "^PyTorch 0.500 s, 100 MB %([%d.]+%)$", text)
  end)

  local real = os.getenv "DENSENET_PYTHON"
  local title = "builds the same network in PyTorch and onnxruntime"
  if not real then return pending(title .. " (DENSENET_PYTHON names a Python)") end
  it(title, function()
    for _, words in ipairs { SMALL, SMALL .. "-infer", "-netType densenet121 -size 64 -batchSize 1 -steps 1 -infer" } do
      local text, status = bench(words .. (" -json -rounds 1 -peer '%s' 2>/dev/null"):format(real))
      assert.equal(0, status, text)
      local result = json.decode(text)
      assert.equal(3, #result.peers)
      for _, peer in ipairs(result.peers) do assert.is_true(peer.median_s > 0) end
    end
  end)
end)
