-- densenet report over runs made here.
local core = require "densenet.core"
local report = require "densenet.report"
local runDirectory = require "densenet.report.run_directory"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local function count(text, what)
  local n = 0
  for _ in text:gmatch(what) do n = n + 1 end
  return n
end

describe("the report of a run", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function run(name, more)
    local path = directory .. "/" .. name
    assert(smallRun.go(smallRun.line .. path .. (more and " " .. more or "")))
    return path
  end

  it("is a page that needs nothing else and says what the log says", function()
    local page = assert(report.page { run "alone" })
    assert.equal(1, count(page, "<!DOCTYPE html>"))
    assert.is_nil(page:lower():find("<script", 1, true))
    assert.is_nil(page:gsub('xmlns="http://www%.w3%.org/2000/svg"', ""):find("http", 1, true))
    assert.equal(count(page, "<svg"), count(page, "</svg>"))
    local rows = assert(runDirectory.table(directory .. "/alone/log.tsv"))
    for _, words in ipairs { "Run alone", core.format("%.2f %%", rows[2].test_top1),
      core.format("test: %.6g at 1", rows[1].test_loss), core.format("training: %.6g at 2", rows[2].train_top1),
      core.format("validation: %.6g at 2", rows[2].val_loss), "prefers-color-scheme:dark", "@media print",
      "what lives when", "Block 1", "<span>-growthRate</span> 3", "DenseNet-BC" } do
      assert.is_truthy(page:find(words, 1, true), words)
    end
    assert.is_nil(page:find("Confusion", 1, true))
    assert.is_nil(page:find("differ in their seed", 1, true))
  end)

  it("compares runs: options that differ, and means over seeds", function()
    local paths = { run("a", "-manualSeed 1"), run("b", "-manualSeed 2"), run("c", "-LR 0.05") }
    local page = assert(report.page(paths))
    assert.is_truthy(page:find("3 runs", 1, true))
    assert.is_truthy(page:find("<td>-LR</td><td>0.1</td><td>0.1</td><td>0.05</td>", 1, true))
    assert.is_truthy(page:find("<td>-manualSeed</td><td>1</td><td>2</td><td>0</td>", 1, true))
    assert.is_nil(page:find("<td>-growthRate</td>", 1, true))
    local best = {}
    for i = 1, 2 do
      local rows = assert(runDirectory.table(paths[i] .. "/log.tsv"))
      best[i] = rows[2].best_top1
    end
    local mean = (best[1] + best[2]) / 2
    assert.is_truthy(page:find(core.format('<td>a, b</td><td class="number">2</td><td class="number">%.2f ± %.2f</td>',
      mean, math.abs(best[1] - best[2]) / math.sqrt(2)), 1, true))
  end)

  it("names changed options, and runs of one name by their paths", function()
    local path = run "x/run"
    assert(smallRun.go(("-resume %s -nEpochs 3 -LR 0.02"):format(path)))
    local page = assert(report.page { path, run "y/run" })
    assert.is_truthy(page:find("-LR 0.02 instead of 0.1 from batch 1 of epoch 3 on", 1, true))
    assert.is_truthy(page:find(directory .. "/y/run", 1, true))
  end)

  it("shows confusions and mistakes, names escaped", function()
    local path = run "seen"
    core.directory_make(path .. "/mistakes")
    temporary.write(path .. "/confusion.tsv", "truth\ta<b\tc\na<b\t3\t1\nc\t0\t4\n")
    temporary.write(path .. "/mistakes/1.png", "png")
    temporary.write(path .. "/mistakes/mistakes.tsv",
      "truth\ttold\ttruth_probability\ttold_probability\timage\tfile\na<b\tc\t0.01\t0.99\t17\t1.png\n")
    local page = assert(report.page { path })
    assert.is_truthy(page:find("1 of 4 images of a&lt;b (25.0 %) are told as c", 1, true))
    assert.is_truthy(page:find('src="data:image/png;base64,cG5n"', 1, true))
    assert.is_truthy(page:find("is <b>a&lt;b</b><br>told c, 99.0 %", 1, true))
    assert.is_nil(page:find("a<b", 1, true))
  end)

  it("of many classes lists the largest confusions", function()
    local path, names, lines = run "many", {}, {}
    for i = 1, 45 do names[i] = "c" .. i end
    lines[1] = "truth\t" .. table.concat(names, "\t")
    for i = 1, 45 do
      local cells = {}
      for j = 1, 45 do cells[j] = i == 3 and j == 7 and 9 or i == 40 and j == 2 and 12 or 0 end
      lines[i + 1] = names[i] .. "\t" .. table.concat(cells, "\t")
    end
    temporary.write(path .. "/confusion.tsv", table.concat(lines, "\n") .. "\n")
    local page = assert(report.page { path })
    local first = page:find('<td>c40</td><td>c2</td><td class="number">12</td>', 1, true)
    local second = page:find('<td>c3</td><td>c7</td><td class="number">9</td>', 1, true)
    assert.is_true(first and second and first < second)
  end)

  it("is made of a run that was killed before its first epoch ended", function()
    local path = directory .. "/killed"
    local asked = 0
    assert.is_nil(smallRun.go(smallRun.line .. path, function()
      asked = asked + 1
      return asked >= 2 and 1 or 0, 15
    end))
    local page = assert(report.page { path })
    assert.is_truthy(page:find("No epoch is done yet.", 1, true))
    assert.is_truthy(page:find("Memory of a training step", 1, true))
  end)

  it("is refused of what is no run", function()
    for _, case in ipairs { { directory .. "/nowhere", "io" }, { directory, "io" } } do
      local page, message, code = report.page { case[1] }
      assert.is_nil(page)
      assert.is_truthy(message:find(case[1], 1, true), message)
      assert.equal(case[2], code)
    end
    local path = run "damaged"
    temporary.write(path .. "/log.tsv", "dear diary\n")
    local page, message, code = report.page { path }
    assert.is_nil(page)
    assert.equal(path .. "/log.tsv is not the log of a run: expected a header that begins with 'epoch'", message)
    assert.equal("format", code)
  end)
end)
