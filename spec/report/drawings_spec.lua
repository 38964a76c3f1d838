-- The pictures of a report, one by one: what is drawn where.
local dn = require "densenet"
local featureReuse = require "densenet.models.feature_reuse"
local heatMap = require "densenet.report.heat_map"
local html = require "densenet.report.html"
local lineChart = require "densenet.report.line_chart"
local memoryPicture = require "densenet.report.memory_picture"
local seeds = require "densenet.report.seeds"

local function count(text, what)
  local n = 0
  for _ in text:gmatch(what) do n = n + 1 end
  return n
end

describe("a line chart", function()
  local function draw(chart)
    chart.title, chart.x = chart.title or "t", chart.x or "x"
    return lineChart.drawing(chart):element()
  end

  it("joins the points of each series, and names it at its end", function()
    local text = draw { { name = "one", { 0, 0 }, { 1, 10 }, { 2, 5 } }, { name = "two", isDashed = true, { 0, 3 } } }
    assert.equal(2, count(text, 'class="series"'))
    assert.equal(4, count(text, "<circle"))
    assert.equal(1, count(text, "stroke%-dasharray"))
    assert.is_truthy(text:find(">one</text>", 1, true) and text:find(">two</text>", 1, true))
    -- 0,0 is the lower left corner of the frame, 2 the right end of the axis
    assert.equal("M64.0 272.0 L247.0 40.0 L430.0 156.0", text:match 'class="series" d="([^"]+)"')
  end)

  it("leaves a gap for what is no number", function()
    local text = draw { { name = "a", { 0, 1 }, { 1, 0 / 0 }, { 2, 1 }, { 3, math.huge }, { 4, 1 } } }
    assert.equal(3, count(text:match 'class="series" d="([^"]+)"', "M"))
    assert.is_nil(text:lower():find("nan", 1, true))
    assert.is_nil(text:lower():find("inf", 1, true))
  end)

  it("has round ticks, whole ones where only whole numbers mean something", function()
    assert.is_truthy(draw { { name = "a", { 3, 7 } } }:find(">0.5</text>", 1, true))
    assert.is_nil(draw { isWhole = true, { name = "a", { 3, 7 } } }:find(">0.5</text>", 1, true))
  end)

  it("escapes texts", function()
    local text = draw { title = 'a<b & "c"', { name = "<i>", { 1, 1 } } }
    assert.is_truthy(text:find("a&lt;b &amp; &quot;c&quot;", 1, true))
    assert.is_nil(text:find("<i>", 1, true))
  end)

  it("is a document of its own with its colours", function()
    local text = lineChart.drawing { title = "t", x = "x", { name = "a", { 1, 1 } } }:element(true)
    assert.is_truthy(text:find("prefers-color-scheme:dark", 1, true))
  end)
end)

describe("a heat map", function()
  it("colours by share of the largest, leaves out what is missing, and says numbers", function()
    local text = heatMap.drawing { title = "t", x = "x", y = "y", rows = { "r1", "r2" }, columns = { "c1", "c2" },
      values = { { 1, 4 }, { nil, 2 } }, text = function(value) return tostring(value) end,
      hint = function(value, r, c) return ("%d at %d,%d"):format(value, r, c) end }:element()
    assert.equal(3, count(text, "<rect"))
    for _, words in ipairs { "high) 25.0%", "high) 100.0%", "high) 50.0%", "4 at 1,2", "2 at 2,2", ">c1<", ">r2<" } do
      assert.is_truthy(text:find(words, 1, true), words)
    end
  end)
end)

describe("base 64", function()
  it("gives the values of RFC 4648", function()
    for bytes, expected in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
      fooba = "Zm9vYmE=", foobar = "Zm9vYmFy", ["\255\254\253"] = "//79" } do
      assert.equal(expected, html.base64(bytes))
    end
  end)
end)

describe("means over seeds", function()
  it("are of runs that differ in nothing else", function()
    local function run(seed, rate, save)
      return { options = { manualSeed = seed, LR = rate, save = save, depth = 22 }, rows = {} }
    end
    local groups = seeds.groups { run(0, 0.1, "a"), run(1, 0.2, "b"), run(1, 0.1, "c") }
    assert.equal(2, #groups)
    assert.equal(2, #groups[1])
    assert.equal("c", groups[1][2].options.save)
  end)

  it("have a deviation over n - 1", function()
    local mean, deviation = seeds.statistics { 1, 2, 4 }
    assert.near(7 / 3, mean, 1e-12)
    assert.near(math.sqrt(7 / 3), deviation, 1e-12)
    assert.same({ 5.0, nil }, { seeds.statistics { 5 } })
    assert.is_nil(seeds.statistics {})
  end)
end)

describe("the memory of a step", function()
  local function planOf(optMemory)
    local model = dn.models.densenet { depth = 10, growthRate = 4, nClasses = 3, optMemory = optMemory }
    return model:plan { 2, 3, 8, 8 }
  end

  it("is in parts that sum up to the plan", function()
    for _, optMemory in ipairs { 0, 2, 4 } do
      local plan, sum = planOf(optMemory), 0
      for _, part in ipairs(memoryPicture.parts(plan)) do
        assert.is_true(part[2] > 0, part[1])
        sum = sum + part[2]
      end
      assert.equal(plan.totalBytes, sum)
    end
  end)

  it("has a box for each buffer that can be seen, and no two at one place at a time", function()
    assert.is_nil(memoryPicture.arena(planOf(0)))
    local text = memoryPicture.arena(planOf(4)):element()
    local boxes = {}
    for x, y, width, height, hint in
      text:gmatch '<rect x="([%d.]+)" y="([%d.]+)" width="([%d.]+)" height="([%d.]+)"[^>]*><title>([^<]*)' do
      if hint:find("operations", 1, true) then
        boxes[#boxes + 1] = { x = tonumber(x), y = tonumber(y), right = x + width, foot = y + height }
      end
    end
    assert.is_true(#boxes > 10)
    for i, a in ipairs(boxes) do
      assert.is_true(a.x >= 63.9 and a.right <= 991 and a.y >= 57.9 and a.foot <= 380.1)
      for j = i + 1, #boxes do
        local b = boxes[j]
        local meet = a.x < b.right - 0.02 and b.x < a.right - 0.02 and a.y < b.foot - 0.02 and b.y < a.foot - 0.02
        assert.is_false(meet, ("boxes %d and %d"):format(i, j))
      end
    end
  end)
end)

describe("feature reuse", function()
  -- Mean |weight| by loops.
  local function expected(weight, first, count_)
    local sum, n = 0.0, 0
    local list, size = weight:totable(), weight:size()
    local function walk(value)
      if type(value) == "number" then sum, n = sum + math.abs(value), n + 1 return end
      for _, each in ipairs(value) do walk(each) end
    end
    for o = 1, size[1] do
      for c = first, first + count_ - 1 do walk(list[o][c]) end
    end
    return sum / n
  end

  for _, bottleneck in ipairs { true, false } do
    it("is the mean |weight|, " .. (bottleneck and "with" or "without") .. " bottleneck", function()
      local model = dn.models.densenet { blocks = { 3, 2 }, growthRate = 4, initChannels = 6, bottleneck = bottleneck,
        reduction = 1, nClasses = 3 }
      local tensors = model:stateDict()
      local maps = featureReuse.of(tensors)
      assert.equal(2, #maps)
      assert.same({ "input", "layer 1", "layer 2", "layer 3" }, maps[1].sources)
      assert.same({ "layer 1", "layer 2", "layer 3", "transition" }, maps[1].targets)
      assert.same({ "layer 1", "layer 2", "classifier" }, maps[2].targets)
      for t, values in ipairs(maps[1].values) do
        local weight = tensors[t < 4 and ("features.denseblock1.denselayer%d.conv1.weight"):format(t)
          or "features.transition1.conv.weight"]
        assert.equal(t < 4 and t or 4, #values)
        assert.near(expected(weight, 1, 6), values[1], 1e-9)
        for s = 2, #values do assert.near(expected(weight, 6 + 4 * (s - 2) + 1, 4), values[s], 1e-9) end
      end
      assert.near(expected(tensors["classifier.weight"], 18 + 4 + 1, 4), maps[2].values[3][3], 1e-9)
    end)
  end

  it("is nothing for a network without dense blocks", function()
    assert.same({}, featureReuse.of(dn.models.preresnet { depth = 8 }:stateDict()))
  end)
end)
