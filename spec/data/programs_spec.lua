-- scripts/fuzz.lua and scripts/bench_loader.lua, as processes.
local dn = require "densenet"
local temporary = require "spec.support.temporary"

local interpreter = temporary.interpreter()
local build = os.getenv("DENSENET_BUILD") or "build"

describe("scripts/fuzz.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- Output and exit status, with readers of the test's own where they are given: Lua that returns a list.
  local function run(line, readers)
    local program = readers and temporary.write(directory .. "/program.lua", ([[
      package.preload.fuzz_readers = function() %s end
      arg[0] = "scripts/fuzz.lua"
      dofile(arg[0])]]):format(readers)) or "scripts/fuzz.lua"
    local pipe = io.popen(("DENSENET_BUILD='%s' '%s' '%s' %s -directory '%s/found' 2>&1"):format(build, interpreter,
      program, line, directory))
    local output = pipe:read("a")
    local _, _, status = pipe:close()
    return output, status
  end

  it("finds nothing in a few damaged files for each reader", function()
    local output, status = run("-files 40 -seed 3")
    assert.equal(0, status, output)
    for name in ("jpeg jpeg-reduced png bmp ppm idx mat safetensors json t7 pth onnx"):gmatch "%S+" do
      local row = "\n" .. name:gsub("%-", "%%-") .. " +"
      assert.is_truthy(("\n" .. output):find(row .. "40 damaged copies of +%d+ files in [^\n]* 0 findings")
        or ("\n" .. output):find(row .. "left out: this build reads no such files"), name .. ": " .. output)
    end
  end)

  it("reports what raises, gives no sentence or another code, or keeps memory, and the file of it", function()
    local reader = [[return { { name = "broken", seeds = {}, make = function() return { "some content" } end,
      read = function(content, path) %s end } }]]
    for body, words in pairs {
      ["error 'oops'"] = "raised: .*oops",
      ["return nil"] = "gave nil and no sentence",
      ["return nil, 'no', 'argument'"] = "gave the code argument",
    } do
      local output, status = run("-files 5", reader:format(body))
      assert.equal(1, status)
      assert.matches("broken 1: " .. words, output)
      assert.matches("5 damaged copies of +1 files in .* 0 taken, 0 refused, 5 findings", output)
      local kept = temporary.read(directory .. "/found/found-broken-3")
      local again = ("-first 3 -files 1 -keep %s/kept"):format(directory)
      assert.equal(0, select(2, run(again, reader:format "return content")))
      assert.equal(kept, temporary.read(directory .. "/kept"))
    end
    local output, status = run("-files 2000", reader:format [[
      kept = kept or {}
      kept[#kept + 1] = require "densenet.core".tensor_new("cpu", "byte", { 10 })
      local file = io.open(path(), "rb")
      assert(file:read("a") == content)
      file:close()
      return true]])
    assert.equal(1, status)
    assert.matches("broken 1000: %d+ bytes of tensors are left since", output)
  end)

  it("refuses what it does not know", function()
    local output, status = run("-reader gif")
    assert.equal(2, status)
    assert.matches("-reader.*one of all, jpeg", output)
  end)
end)

describe("the mutator", function()
  it("damages a file the same way for the same number, and others otherwise", function()
    local path = package.path
    package.path = "scripts/?.lua;" .. path
    local mutator = require "fuzz_mutator"
    package.path = path
    local content, seen, nSeen = ("abc123"):rep(20), {}, 0
    for number = 1, 300 do
      local damaged = mutator.mutate(content, mutator.source(1, number), { content, "other" })
      assert.equal(damaged, mutator.mutate(content, mutator.source(1, number), { content, "other" }))
      if not seen[damaged] then seen[damaged], nSeen = true, nSeen + 1 end
    end
    assert.is_true(nSeen > 270, nSeen)
    for number = 1, 300 do assert.equal("string", type(mutator.mutate("", mutator.source(2, number), { "", "x" }))) end
  end)
end)

describe("bench.lua -loader", function()
  local function run(line)
    local pipe = io.popen(("DENSENET_BUILD='%s' '%s' scripts/bench.lua -loader %s 2>&1"):format(build, interpreter,
      line))
    local output = pipe:read("a")
    local _, _, status = pipe:close()
    return output, status
  end

  it("prints images a second, by threads and by the core", function()
    local image = "spec/golden/images/baseline_444.jpg"
    if select(3, dn.image.load(image)) == "unsupported" then return pending("no JPEG in this build") end
    local output, status = run("-images " .. image .. " -rounds 1 -seconds 0.02 -threads 2")
    assert.equal(0, status, output)
    local rows = 0
    for _ in output:gmatch("\n[%w: ,]+ +[12] +%d+ +%d+") do rows = rows + 1 end
    assert.equal(10, rows, output)
  end)

  it("says what it wants", function()
    local output, status = run("")
    assert.equal(2, status)
    assert.matches("-images: a JPEG file, or a directory with some, expected", output)
    output, status = run("-images spec/golden/mat")
    assert.equal(1, status)
    assert.matches("spec/golden/mat: has no JPEG files", output)
    output, status = run("-images spec/golden/images/empty.jpg")
    assert.equal(1, status)
    assert.matches("empty.jpg: is empty", output)
  end)
end)
