-- The confusion matrix and the worst mistakes of a test.
local core = require "densenet.core"
local dn = require "densenet"
local ImageSet = require "densenet.data.image_set"
local Mistakes = require "densenet.train.mistakes"
local temporary = require "spec.support.temporary"

describe("mistakes", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function setOf(n)
    return ImageSet.new { images = dn.range(0, n * 12 - 1):type("byte"):view(n, 3, 2, 2),
      labels = dn.ones(n):type("long"), classes = { "a\tb", "c" }, name = "x", split = "test" }
  end

  it("are counted, sorted by the probability of the truth, and written with their images", function()
    local mistakes = Mistakes.new(setOf(5))
    mistakes:add(dn.tensor { { 2, 0 }, { 0, 1 }, { 3, 0 } }, dn.tensor({ 1, 1, 2 }, "long"))
    mistakes:add(dn.tensor { { 0, 5 }, { 0, 0 } }, dn.tensor({ 2, 1 }, "long"))
    assert(mistakes:write(directory .. "/out"))
    assert.equal("truth\ta b\tc\na b\t2\t1\nc\t1\t1\n", temporary.read(directory .. "/out/confusion.tsv"))
    local rows = {}
    for row in temporary.read(directory .. "/out/mistakes/mistakes.tsv"):gmatch "[^\n]+" do rows[#rows + 1] = row end
    assert.equal(3, #rows)
    local p3, p2 = 1 / (1 + math.exp(3)), 1 / (1 + math.exp(1))
    local isWritten = dn.image.decode and core.file_exists(directory .. "/out/mistakes/1.png")
    assert.equal(core.format("c\ta b\t%.6g\t%.6g\t3\t%s", p3, 1 - p3, isWritten and "1.png" or ""), rows[2])
    assert.equal(core.format("a b\tc\t%.6g\t%.6g\t2\t%s", p2, 1 - p2, isWritten and "2.png" or ""), rows[3])
    if not isWritten then return pending "this build writes no PNG" end
    local pixels = assert(dn.image.load(directory .. "/out/mistakes/1.png"))
    assert.same(setOf(5):get(3).input:totable(), pixels:totable())
  end)

  it("are the worst 48 of many", function()
    local mistakes = Mistakes.new(setOf(60))
    for i = 1, 60 do mistakes:add(dn.tensor { { 0, i / 10 } }, dn.tensor({ 1 }, "long")) end
    assert.equal(48, #mistakes.worst)
    assert.equal(60, mistakes.worst[1].number)
    assert.equal(13, mistakes.worst[48].number)
  end)

  it("say where they cannot be written", function()
    temporary.write(directory .. "/file", "x")
    local done, message, code = Mistakes.new(setOf(1)):write(directory .. "/file")
    assert.is_nil(done)
    assert.is_truthy(message:find(directory .. "/file", 1, true), message)
    assert.equal("io", code)
  end)

  it("need a test", function()
    local values, message = dn.train.options.parse { "-confusion", "x" }
    assert.is_nil(values)
    assert.equal("-confusion is written by a test: it needs -testOnly true", message)
  end)
end)
