-- The options that choose what is kept for the backward pass, the plan that main.lua prints, and
-- networks that do not fit.
local dn = require "densenet"
local memory = require "densenet.train.memory"
local options = require "densenet.train.options"
local temporary = require "spec.support.temporary"

local function parse(line)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  return assert(options.parse(argv))
end

describe("the memory mode", function()
  it("is 4 unless told otherwise", function()
    assert.equal(4, parse("").optMemory)
    assert.equal(4, dn.models.densenet({ blocks = { 1 }, growthRate = 2 }).config.optMemory)
  end)

  it("is said by a number, a word, or an option of Torch's", function()
    for line, mode in pairs {
      ["-optMemory 0"] = 0, ["-optMemory 5"] = 5, ["-memory standard"] = 0, ["-memory liveness"] = 1,
      ["-memory shared-gradients"] = 2, ["-memory shared"] = 3, ["-memory linear"] = 4, ["-memory minimal"] = 5,
      ["-shareGradInput true"] = 2, ["-optnet true"] = 1, ["-optnet false -shareGradInput false"] = 4,
      ["-optMemory 2 -shareGradInput true -memory shared-gradients"] = 2,
    } do
      assert.equal(mode, parse(line).optMemory, line)
    end
  end)

  it("may change in a resumed run, and stays when nothing is said", function()
    local saved = options.complete(parse("-memory minimal"))
    local function merged(line)
      local values, given = parse("-resume x " .. line)
      values = assert(options.merge(values, given, saved))
      assert(options.check(values, given))
      return values.optMemory
    end
    assert.equal(5, merged(""))
    assert.equal(1, merged("-optnet true"))
    assert.equal(3, merged("-memory shared"))
    assert.equal(0, merged("-optMemory 0"))
  end)
end)

describe("a run that will not fit", function()
  local values = options.complete(parse("-depth 22 -batchSize 64"))
  local whole = memory.plan(values, {}).totalBytes

  it("says so with the largest batch that does", function()
    assert.is_truthy(memory.check(values, {}, whole))
    local plan, message, code = memory.check(values, {}, whole - 1)
    assert.is_nil(plan)
    assert.equal("memory", code)
    local batch = tonumber(message:match("the largest %-batchSize that fits is (%d+)"))
    assert.equal(63, batch)
    for _, text in ipairs { "64 images", "-optMemory 4 (linear)", "-optMemory 5 (minimal) takes" } do
      assert.is_truthy(message:find(text, 1, true), message)
    end
    message = select(2, memory.check(values, {}, whole // 3))
    batch = tonumber(message:match("the largest %-batchSize that fits is (%d+)"))
    local function bytes(n) return memory.plan(setmetatable({ batchSize = n }, { __index = values }), {}).totalBytes end
    assert.is_true(bytes(batch) <= whole // 3 and bytes(batch + 1) > whole // 3)
  end)

  it("says when not even one image fits", function()
    local _, message = memory.check(values, {}, 1000)
    assert.is_truthy(message:find("not even one image fits", 1, true))
  end)
end)

describe("main.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function run(line)
    local path = directory .. "/out"
    local done, _, status = os.execute(("'%s' main.lua %s >'%s' 2>&1"):format(temporary.interpreter(), line, path))
    return done and 0 or status, temporary.read(path)
  end

  it("prints the plan and stops, with the images nowhere", function()
    local line = "-plan -dataset cifar10 -data /nowhere -depth 22 -batchSize 3 -save " .. directory .. "/run"
    local status, text = run(line)
    assert.equal(0, status, text)
    for _, part in ipairs { "input 3x3x32x32", "MB are 2^20 bytes", "features.denseblock1.output", "total ",
      "features.denseblock1.denselayer1-3.bottleneck",
      "-optMemory 0  standard", "-optMemory 4  linear", "(this plan)", "-optMemory 5  minimal" } do
      assert.is_truthy(text:find(part, 1, true), part .. " is missing in\n" .. text)
    end
    assert.is_nil(io.open(directory .. "/run/latest.json"))
  end)

  it("announces the plan, and a resumed run's change of mode", function()
    local line = "-depth 10 -growthRate 4 -trainSize 64 -testSize 20 -batchSize 32 -nThreads 0 -nCores 1 "
    local status, text = run(line .. "-nEpochs 1 -optMemory 5 -save " .. directory .. "/run")
    assert.equal(0, status, text)
    local announced = "memory: +%d+%.%d MB %(2^20 bytes%) planned for a step of 32 images, %-optMemory 5"
    assert.is_truthy(text:find(announced), text)
    status, text = run("-resume " .. directory .. "/run -nEpochs 2")
    assert.equal(0, status, text)
    assert.is_truthy(text:find("-optMemory 5 (minimal)", 1, true))
    assert.is_nil(text:find("to rounding", 1, true))
    status, text = run("-resume " .. directory .. "/run -nEpochs 3 -memory standard")
    assert.equal(0, status, text)
    assert.is_truthy(text:find("it had -optMemory 5 (minimal): it goes on the same to rounding", 1, true), text)
  end)
end)

describe("the largest batch", function()
  local function chosen(line, available)
    local values, notes = options.complete(parse(line)), {}
    local done, message, code = memory.chooseBatch(values, {}, notes, available)
    return done and values.batchSize, done and notes[1] or message, code
  end

  it("is chosen for a size of memory, to the image", function()
    for _, size in ipairs { "64MB", "0.25GB" } do
      local batch, note = chosen("-depth 22 -batchSize auto -memory " .. size, 1 << 20)
      local bytes = size == "64MB" and 64 << 20 or 256 << 20
      local function planned(n)
        return memory.plan(options.complete(parse("-depth 22 -batchSize " .. n)), {}).totalBytes
      end
      assert.is_true(planned(batch) <= bytes)
      assert.is_true(planned(batch + 1) > bytes)
      assert.matches(("^%%-batchSize auto is %d: [%%d.]+ MB planned for a training step, %d.0 MB allowed by %%-memory$")
        :format(batch, bytes >> 20), note)
    end
  end)

  it("fits nine tenths of what there is, or the images to train on", function()
    local batch, note = chosen("-depth 22 -batchSize auto", 100 << 20)
    assert.equal(batch, chosen("-depth 22 -batchSize auto -memory 90MB"))
    assert.matches("90.0 MB are nine tenths of what is available$", note)
    assert.equal(3, (chosen("-depth 22 -batchSize auto -trainSize 3", 100 << 20)))
    assert.equal(64, (chosen("-depth 22", 100)))
  end)

  it("is refused where not one image fits, and in a resumed run", function()
    local none, message, code = chosen("-depth 22 -batchSize auto -memory 1MB")
    assert.same({ nil, "memory" }, { none or nil, code })
    assert.matches("a training step of one image takes [%d.]+ MB with %-optMemory 4 %(linear%), and 1.0 MB are allowed",
      message)
    assert.matches("cannot go with %-resume", (select(2, options.parse { "-resume", "x", "-batchSize", "auto" })))
  end)

  it("limits a batch size that is given", function()
    local values = options.complete(parse "-depth 22 -batchSize 64 -memory 50MB")
    local plan, message, code = memory.check(values, {}, 1 << 40)
    assert.same({ nil, "memory" }, { plan, code })
    assert.matches("and 50.0 MB are allowed by %-memory; the largest %-batchSize that fits is %d+", message)
    assert.matches("and 1.0 MB are available", (select(2, memory.check(values, {}, 1 << 20))))
    assert.is_truthy(memory.check(options.complete(parse "-depth 22 -batchSize 1 -memory 1TB"), {}, 1 << 40))
  end)

  it("is said in words that are understood", function()
    for _, line in ipairs { "-batchSize some", "-memory 4", "-memory 4XB", "-memory GB" } do
      local argv = {}
      for word in line:gmatch("%S+") do argv[#argv + 1] = word end
      local values, message = options.parse(argv)
      assert.is_nil(values)
      assert.matches("expected .*[4a][Gu][Bt]", message)
    end
    assert.equal(4, parse("-memory 4GB").optMemory)
    assert.equal(5, parse("-memory 4GB -optMemory 5").optMemory)
  end)
end)
