local dn = require "densenet"
local planText = require "densenet.nn.plan.text"

local MB = 2 ^ 20

local function row(name, size, bytes, lifetime)
  return { name = name, size = size, dtype = "float", lifetime = lifetime or "step", bytes = bytes, lives = {} }
end

local function planOf(rows)
  local total = 0
  for _, each in ipairs(rows) do total = total + each.bytes end
  return { rows = rows, inputSize = { 2, 3 }, type = "float", mode = 0, arenaBytes = 0, totalBytes = total,
    bytesOf = function() return 0 end, inMode = function() return nil end }
end

local function bufferLines(text)
  local lines = {}
  for line in (text:match("\n *MB  life[^\n]*\n(.*)$") .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

describe("a plan's text", function()
  it("has totals, modes and buffers, in this order", function()
    local text = dn.models.densenet({ depth = 22, growthRate = 4 }):plan({ 64, 3, 32, 32 }):table()
    local last = 0
    for _, part in ipairs { "input 64x3x32x32 in float", "parameters (", "total  ", "-optMemory 0", "-optMemory 5",
      "each by itself: -plan rows", "MB  life", "features.denseblock1.output" } do
      local place = text:find(part, 1, true)
      assert.is_true(place ~= nil and place > last, part)
      last = place
    end
    for line in text:gmatch("[^\n]+") do assert.is_true(#line <= 80, line) end
  end)

  it("sums equal buffers up, most bytes first", function()
    local text = planText(planOf {
      row("a.layer1.x", { 4, 4 }, 1 * MB), row("a.layer2.x", { 4, 4 }, 1 * MB), row("a.layer3.x", { 4, 4 }, 1 * MB),
      row("a.layer4.x", { 8, 4 }, 5 * MB), row("a.layer5.x", { 4, 4 }, 2 * MB, "layer"),
      row("b.layer1.x2", { 4, 4 }, 2 * MB), row("b.layer3.x2", { 4, 4 }, 2 * MB), row("small", { 1 }, 100),
    })
    assert.same({
      "5.00  step   1x  8x4   a.layer4.x", "4.00  step   2x  4x4   b.layer*.x2",
      "3.00  step   3x  4x4   a.layer1-3.x", "2.00  layer  1x  4x4   a.layer5.x",
      "0.00                   (1 smaller ones)",
    }, bufferLines(text))
  end)

  it("says ranges only where they say all", function()
    local rows = {}
    for a = 1, 2 do
      for b = 1, 3 do rows[#rows + 1] = row(("l%d.%d"):format(a, b), { 2 }, MB) end
    end
    assert.equal("6.00  step  6x  2     l1-2.1-3", bufferLines(planText(planOf(rows)))[1])
    rows[6] = nil
    assert.equal("5.00  step  5x  2     l*.*", bufferLines(planText(planOf(rows)))[1])
  end)

  it("has every buffer, its place and its life, on demand", function()
    local plan = dn.models.densenet({ depth = 22, growthRate = 4 }):plan({ 64, 3, 32, 32 })
    local text = plan:table(true)
    for i = 1, 3 do
      assert.is_truthy(text:find(("features%%.denseblock1%%.denselayer%d%%.bottleneck +64x16x32x32  float  step +%%d")
        :format(i)))
    end
    assert.is_nil(text:find("-plan rows", 1, true))
    assert.is_truthy(text:find("operations\n", 1, true))
  end)
end)
