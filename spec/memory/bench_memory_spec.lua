-- scripts/bench_memory.lua as its user meets it: a table and a plot in files.
local dn = require "densenet"
local temporary = require "spec.support.temporary"

describe("bench_memory.lua", function()
  it("writes every network in every mode, and a plot of plans", function()
    local directory = temporary.directory()
    finally(function() temporary.remove(directory) end)
    local command = ("'%s' scripts/bench_memory.lua -planOnly -batchSize 2 -table '%s/t.md' -plot '%s/p.svg'")
    assert(os.execute(command:format(temporary.interpreter(), directory, directory) .. " >/dev/null 2>&1"))
    local text, n = temporary.read(directory .. "/t.md"), 0
    for depth, mode, word, planned in text:gmatch("| DenseNet%-BC%((%d+),12%), 32x32 | 2 | (%d) (%S+) | ([%d.]+) |") do
      local model = dn.models.withoutMemory { depth = tonumber(depth), optMemory = math.tointeger(tonumber(mode)) }
      local plan = model:plan { 2, 3, 32, 32 }
      assert.equal(("%.1f"):format(plan.totalBytes / 2 ^ 20), planned)
      assert.equal((require "densenet.nn.memory_modes")[plan.mode].word, word)
      n = n + 1
    end
    assert.equal(12, n)
    local pipe = io.popen(("'%s' scripts/bench_memory.lua -planOnly -batchSize 2 -netType preresnet 2>/dev/null")
      :format(temporary.interpreter()))
    local rows = pipe:read("a")
    assert(pipe:close())
    assert.equal(3, select(2, rows:gsub("| preresnet, 32x32 | 2 | %d %S+ | [%d.]+ |  |  |\n", "")))
    local svg = temporary.read(directory .. "/p.svg")
    assert.is_truthy(svg:find("^<svg ") and svg:find("</svg>\n$"))
    assert.equal(15, select(2, svg:gsub("<circle ", ""))) -- three lines of five depths
    local heights = {}
    for y, name in svg:gmatch('y="([%d.]+)" text%-anchor="start" style="fill:[^"]+">(%a+)') do
      heights[name] = tonumber(y)
    end
    assert.is_true(heights.naive < heights.linear - 15 and heights.linear <= heights.minimal - 15)
  end)
end)
