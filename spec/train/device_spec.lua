-- Which device a run takes: what was asked for, else a GPU where there is one; and what is said of it.
local core = require "densenet.core"
local device = require "densenet.train.device"
local options = require "densenet.train.options"

local function parse(line)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  return assert(options.parse(argv))
end

-- Calls choose where `gpus` GPUs are there; nil: in a build without CUDA. Returns what it returns, in a
-- table, and which devices were set to TF32. core is as it was afterwards, whatever happens: of several
-- `finally` in one test busted calls only the last.
local function choose_with(gpus, values, given)
  local find, tf32, settings = core.device_find, core.tf32, {}
  core.device_find = function(name)
    local n = name == "cuda" and 0 or tonumber(name:match("^cuda:(%d+)$"))
    local is_plan = name:find("^plan:cuda:%d+$")
    if name == "cpu" or gpus and (is_plan or n and n < gpus) then return true end
    return nil, ("device '%s' is not available: none here"):format(name), "device"
  end
  core.tf32 = function(name, on)
    settings[name] = on
    return true
  end
  local results = table.pack(pcall(device.choose, values, given))
  core.device_find, core.tf32 = find, tf32
  assert(results[1], results[2])
  return { table.unpack(results, 2, results.n) }, settings
end

-- For a command line: its options, and what choose_with returns.
local function choose(line, gpus)
  local values, given = parse(line)
  return values, choose_with(gpus, values, given)
end

describe("the device of a run", function()
  it("is a GPU where there is one", function()
    local values, result, settings = choose("", 2)
    assert.equal("cuda:0", values.device)
    assert.same({}, result[1])
    assert.same({ ["cuda:0"] = false }, settings)
  end)

  it("is the CPU where there is none, and the log says so", function()
    local values, result = choose("", 0)
    assert.equal("cpu", values.device)
    assert.same({ "not on a GPU: device 'cuda' is not available: none here" }, result[1])
  end)

  it("is what was asked for", function()
    for line, name in pairs { ["-device cpu"] = "cpu", ["-nGPU 0"] = "cpu", ["-device cuda"] = "cuda:0",
      ["-device cuda:1"] = "cuda:1", ["-nGPU 1"] = "cuda:0", ["-device cuda -nGPU 1"] = "cuda:0" } do
      local values, result = choose(line, 2)
      assert.equal(name, values.device, line)
      assert.same({}, result[1])
    end
  end)

  it("fails when what was asked for is not there", function()
    for _, line in ipairs { "-device cuda", "-nGPU 1", "-device cuda:7" } do
      local _, result = choose(line, 0)
      assert.is_nil(result[1])
      assert.matches("^device 'cuda.*' is not available", result[2])
      assert.equal("device", result[3])
    end
  end)

  it("need not be there for a plan", function()
    assert.equal("cuda:0", (choose("-plan -device cuda", 0)).device)
    assert.equal("cuda:3", (choose("-plan -device cuda:3", 0)).device)
    assert.equal("cpu", (choose("-plan", 0)).device)
  end)

  it("is refused for a plan, too, by a build without CUDA", function()
    local _, result = choose("-plan -device cuda", nil)
    assert.is_nil(result[1])
    assert.matches("^device 'plan:cuda:0' is not available", result[2])
    assert.equal("cpu", (choose("-plan", nil)).device)
  end)

  it("takes tf32 on a GPU alone", function()
    local values, _, settings = choose("-precision tf32", 1)
    assert.equal("tf32", values.precision)
    assert.same({ ["cuda:0"] = true }, settings)
    local _, result = choose("-precision tf32", 0)
    assert.is_nil(result[1])
    assert.matches("^%-precision tf32 needs a GPU: device 'cuda' is not available", result[2])
  end)

  it("turns a resumed run's tf32 into single on the CPU, and says so", function()
    local values = parse("")
    values.precision = "tf32"
    local result = choose_with(0, values, {})
    assert.equal("single", values.precision)
    assert.same({ "not on a GPU: device 'cuda' is not available: none here",
      "tf32 is a GPU's: the run goes on in single precision" }, result[1])
  end)

  it("is described in a line", function() assert.equal("cpu", device.describe("cpu")) end)

  it("says that 16 bits are slow on the CPU", function()
    for _, precision in ipairs { "half", "bfloat16" } do
      local _, result = choose("-device cpu -precision " .. precision, 0)
      assert.matches("^" .. precision .. " is slow on the CPU", result[1][1])
      _, result = choose("-precision " .. precision, 1)
      assert.same({}, result[1])
    end
  end)
end)
