-- The confusion matrix, counted by hand.

local dn = require "densenet"

local ConfusionMatrix = dn.optim.ConfusionMatrix

describe("optim.ConfusionMatrix", function()
  it("counts labels and scores, one by one and in batches", function()
    local confusion = ConfusionMatrix(3)
    confusion:add(1, 1)
    confusion:add(dn.tensor { 0.1, 0.2, 0.7 }, 2)
    confusion:add(2, dn.tensor { 0, 1, 0 })
    assert.same({ { 1, 0, 0 }, { 0, 1, 1 }, { 0, 0, 0 } }, confusion.mat:totable())
    confusion:batchAdd(dn.tensor { { 5, 1, 2 }, { 0, 1, 0 } }, dn.tensor({ 1, 1 }, "long"))
    confusion:batchAdd(dn.tensor { 2, 2 }, { 1, 2 })
    confusion:batchAdd(dn.tensor({ { 1, 0, 0 } }, "half"), dn.tensor({ 3 }, "byte"))
    assert.same({ { 2, 2, 0 }, { 0, 2, 1 }, { 1, 0, 0 } }, confusion.mat:totable())
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }, confusion:zero().mat:totable())
  end)

  it("tells shares, of each class and of all", function()
    local confusion = ConfusionMatrix { "cat", "dog", "unseen" }
    confusion:batchAdd({ 1, 1, 1, 2, 2 }, { 1, 1, 1, 1, 2 })
    confusion:updateValids()
    assert.equal(0.75, confusion.valids[1])
    assert.equal(1, confusion.valids[2])
    assert.is_true(confusion.valids[3] ~= confusion.valids[3])
    assert.equal(0.875, confusion.averageValid)
    assert.equal(0.5, confusion.unionvalids[2])
    assert.equal(0.625, confusion.averageUnionValid)
    assert.equal(0.8, confusion.totalValid)
    assert.equal(tostring(confusion), confusion:tostring())
    assert.equal([[
ConfusionMatrix:
[3 1 0]    75.000%  cat
[0 1 0]   100.000%  dog
[0 0 0]       none  unseen
 + average row correct: 87.500%
 + average rowUcol correct (VOC measure): 62.500%
 + global correct: 80.000%]], tostring(confusion))
    confusion:zero():updateValids()
    assert.is_true(confusion.totalValid ~= confusion.totalValid)
  end)

  it("refuses what is no class, and adds nothing then", function()
    local confusion = ConfusionMatrix(2)
    for message, call in pairs {
      ["a target of optim.ConfusionMatrix is 3; a class from 1 to 2 expected"] =
        function() confusion:batchAdd({ 1, 1 }, { 1, 3 }) end,
      ["a prediction of optim.ConfusionMatrix is 0; a class"] = function() confusion:add(0, 1) end,
      ["a target of optim.ConfusionMatrix is 1.5"] = function() confusion:add(1, 1.5) end,
      ["2 predictions and 1 targets"] = function() confusion:batchAdd({ 1, 1 }, { 1 }) end,
      ["labels N, or scores N,2, expected as predictions of optim.ConfusionMatrix, got a float tensor of size 1x3"] =
        function() confusion:batchAdd(dn.zeros(1, 3), { 1 }) end,
      ["a class, or scores of 2, expected as prediction of optim.ConfusionMatrix, got 'x'"] =
        function() confusion:add("x", 1) end,
      ["classes: an integer of 1 or more expected, got 0"] = function() ConfusionMatrix {} end,
    } do
      assert.error_matches(call, message)
    end
    assert.equal(0, confusion.mat:sum())
  end)
end)
