-- RandomErasing: torchvision's definition, from numbers that are told, and how often and how much it erases.
local dn = require "densenet"
local random = require "densenet.random"

local RandomErasing = dn.data.transforms.RandomErasing

-- A generator that gives what it is told.
local function told(...)
  local answers = { ... }
  local function answer() return table.remove(answers, 1) end
  return { uniform = answer, integer = answer }
end

-- Rows and columns of the zeros in an image of ones; nil where there are none.
local function hole(image)
  local top, bottom, left, right, count = math.huge, 0, math.huge, 0, 0
  for y, row in ipairs(image:totable()[1]) do
    for x, value in ipairs(row) do
      if value == 0 then
        top, bottom, left, right = math.min(top, y), math.max(bottom, y), math.min(left, x), math.max(right, x)
        count = count + 1
      end
    end
  end
  if count == 0 then return nil end
  assert.equal((bottom - top + 1) * (right - left + 1), count) -- a rectangle
  return { top, left, bottom - top + 1, right - left + 1 }
end

describe("RandomErasing", function()
  local ones
  setup(function() ones = dn.ones(3, 40, 60) end)
  teardown(function() ones = nil end)

  it("erases a rectangle of the area and the proportions drawn", function()
    -- h = round(sqrt(2400 * 0.1 * 0.5)), w = round(sqrt(2400 * 0.1 / 0.5))
    local out = RandomErasing(0.4)(ones, told(0.39, 0.1, math.log(0.5), 3, 7))
    assert.same({ 3, 7, 11, 22 }, hole(out))
    assert.same(out:select(1, 1):totable(), out:select(1, 3):totable())
    assert.equal(3 * 40 * 60, ones:sum())
    assert.is_true(RandomErasing(0.4)(ones, told(0.4)):isSameView(ones))
  end)

  it("draws again what is as high or as wide as the image, ten times at most", function()
    -- 0.33 * 2400 with 3.3: 51 pixels high
    local tooHigh, answers = { 0.33, math.log(3.3) }, { 0 }
    for _ = 1, 9 do table.move(tooHigh, 1, 2, #answers + 1, answers) end
    local last = table.move(answers, 1, #answers, 1, {})
    table.move({ 0.1, 0, 1, 1 }, 1, 4, #last + 1, last)
    assert.same({ 1, 1, 15, 15 }, hole(RandomErasing(1)(ones, told(table.unpack(last)))))
    table.move(tooHigh, 1, 2, #answers + 1, answers)
    assert.is_true(RandomErasing(1)(ones, told(table.unpack(answers))):isSameView(ones))
  end)

  it("erases as often as it is told, 2 to 33 % of the image", function()
    local rng, t, n, share = random.generator(5, 1), RandomErasing(0.25), 0, 0
    for _ = 1, 400 do
      local found = hole(t(ones, rng))
      if found then
        n = n + 1
        local part = found[3] * found[4] / 2400
        share = share + part
        assert.is_true(part > 0.017 and part < 0.35)
        local aspect = found[3] / found[4]
        assert.is_true(aspect > 0.25 and aspect < 4)
      end
    end
    assert.is_true(n > 70 and n < 130, n)
    assert.is_true(math.abs(share / n - 0.175) < 0.04, share / n)
  end)

  it("refuses what is no probability", function()
    for _, probability in ipairs { -0.1, 1.1, "half" } do
      assert.error_matches(function() RandomErasing(probability) end, "RandomErasing: the probability must be a number")
    end
  end)

  it("comes last in training where it is asked for, and in no test", function()
    local info = { name = "mine", family = "cifar", mean = { 0 }, std = { 1 }, height = 20, width = 20 }
    local function last(split, options)
      local steps = dn.data.preprocess(info, split, options).steps
      return tostring(steps[#steps])
    end
    assert.equal("RandomErasing(0.5)", last("train", { randomErasing = 0.5 }))
    assert.equal("RandomCrop(20, 4)", last("train", { randomErasing = 0 }))
    assert.equal("ColorNormalize({...})", last("test", { randomErasing = 0.5 }))
  end)
end)
