-- What N ranks train is what one process trains with the same whole batch.
local ranks = require "spec.support.ranks"

local ranked = ranks.it(it, pending)
local PROGRAM = "spec/dist/programs/steps.lua"

-- By what name a case is called, and what it says (spec/dist/programs/steps.lua).
local cases = {}

local function add(title, case, tolerance)
  cases[#cases + 1] = { title = title, case = case, tolerance = tolerance or 1e-12 }
end

for mode = 0, 5 do
  add(("memory mode %d"):format(mode), ("images = 12, batchSize = 6, syncBN = true, optMemory = %d"):format(mode))
  add(("memory mode %d, dropout"):format(mode),
    ("images = 12, batchSize = 6, syncBN = true, optMemory = %d, dropRate = 0.3"):format(mode))
end
add("no norms", "images = 12, batchSize = 6, family = 'plain'")
add("no norms, two passes a step", "images = 12, batchSize = 12, family = 'plain', passes = 2")
add("class weights", "images = 12, batchSize = 6, syncBN = true, weights = true, optMemory = 4")
add("a norm of rows, and masks that begin within a position",
  "images = 14, batchSize = 7, family = 'dropout', syncBN = true")
add("7 images", "images = 7, batchSize = 7, syncBN = true, optMemory = 4, dropRate = 0.3")
add("3 images", "images = 3, batchSize = 3, syncBN = true, optMemory = 4, dropRate = 0.3, epochs = 2")
add("3 images, class weights, no norms", "images = 3, batchSize = 3, family = 'plain', weights = true, epochs = 2")
add("a ragged last batch, two epochs, threads",
  "images = 11, batchSize = 8, syncBN = true, optMemory = 4, epochs = 2, nThreads = 2")
add("float", "images = 12, batchSize = 6, syncBN = true, optMemory = 4, precision = 'float'", 1e-4)
add("half", "images = 12, batchSize = 6, syncBN = true, optMemory = 4, precision = 'half'", 2e-2)

local function text()
  local list = {}
  for i, each in ipairs(cases) do list[i] = "{ " .. each.case .. " }" end
  return "{ " .. table.concat(list, ",\n") .. " }"
end

-- The largest difference, relative to numbers above 1, and where it is.
local function difference(expected, found)
  local most, where = 0, ""
  for name, list in pairs(expected) do
    assert.are.equal(#list, #found[name])
    for i, value in ipairs(list) do
      local off = math.abs(value - found[name][i]) / math.max(1, math.abs(value))
      if off > most or off ~= off then most, where = off, ("%s, element %d"):format(name, i) end
    end
  end
  return most, where
end

describe("ranks", function()
  local alone

  local function expected()
    alone = alone or ranks.answer(1, PROGRAM, { text() })
    return alone
  end

  for n = 2, 4 do
    ranked(("as many as %d train what one process trains"):format(n), function()
      local found = ranks.answer(n, PROGRAM, { text() })
      for i, each in ipairs(cases) do
        local most, where = difference(expected()[i], found[i])
        assert.is_true(most <= each.tolerance, ("%s: %g at %s"):format(each.title, most, where))
        assert.is_true(#expected()[i].losses > 0)
      end
    end)
  end

  ranked("give the same bytes again", function()
    local case = "{{ images = 11, batchSize = 8, syncBN = true, optMemory = 4, dropRate = 0.3, precision = 'float' }}"
    local _, first = ranks.run(3, PROGRAM, { case })
    local _, second = ranks.run(3, PROGRAM, { case })
    assert.is_true(#first > 1000)
    assert.are.equal(first, second)
  end)

  for _, precision in ipairs { "float", "double" } do
    ranked(("in buckets of 1 KB train the bits of one bucket, in %s"):format(precision), function()
      local case = "{{ images = 12, batchSize = 6, syncBN = true, optMemory = %d, bucketKB = %s, precision = '%s' }}"
      for _, mode in ipairs { 0, 4 } do
        local _, small = ranks.run(4, PROGRAM, { case:format(mode, 1, precision) })
        local _, one = ranks.run(4, PROGRAM, { case:format(mode, 8192, precision) })
        assert.is_true(#small > 1000)
        assert.are.equal(one, small)
      end
    end)
  end

  for n = 2, 4 do
    ranked(("as many as %d norm by themselves as slices by hand do"):format(n), function()
      local case = "images = 11, batchSize = 8, optMemory = %d"
      local together, slices = {}, {}
      for i, mode in ipairs { 0, 4 } do
        together[i] = "{ " .. case:format(mode) .. " }"
        slices[i] = ("{ %s, slices = %d }"):format(case:format(mode), n)
      end
      local found = ranks.answer(n, PROGRAM, { "{" .. table.concat(together, ",") .. "}" })
      local by_hand = ranks.answer(1, PROGRAM, { "{" .. table.concat(slices, ",") .. "}" })
      for i = 1, 2 do
        local most, where = difference(by_hand[i], found[i])
        assert.is_true(most <= 1e-12, ("%g at %s"):format(most, where))
      end
    end)
  end
end)
