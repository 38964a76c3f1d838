-- What random numbers are like: the published generator, distributions, and a place in the sequence
-- for every element, whatever else is drawn.

local core = require "densenet.core"
local compare = require "spec.support.compare"

local function new(dtype, ...) return core.tensor_new("cpu", dtype, { ... }) end

describe("philox", function()
  -- Random123's known answers for philox4x32-10; counter words are position low, high, stream low, high.
  local answers = {
    { 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { -1, -1, -1, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { 0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
  }
  for i, answer in ipairs(answers) do
    it("gives published answer " .. i, function()
      assert.are.same(answer[4], { core.philox(answer[1], answer[2], answer[3]) })
    end)
  end
end)

-- Moments of a large sample, each with the bound that chance exceeds once in 10^9 (six deviations).
local function moments(tensor)
  local n, mean, variance = tensor:nElement(), new("double", 1), new("double", 1)
  core.reduce(mean, tensor, "mean", 0)
  core.reduce(variance, tensor, "var", 1)
  return mean:item(), variance:item(), 6 / math.sqrt(n)
end

describe("random_uniform", function()
  it("is uniform", function()
    local y = new("double", 200000)
    core.random_uniform(y, 2, 5, 42, 7, 0)
    local mean, variance, bound = moments(y)
    assert.is_true(math.abs(mean - 3.5) < bound * math.sqrt(0.75))
    assert.is_true(math.abs(variance - 0.75) < bound * 0.75 * math.sqrt(0.8))
    local extreme = new("double", 1)
    core.reduce(extreme, y, "min", 0)
    assert.is_true(extreme:item() >= 2)
    core.reduce(extreme, y, "max", 0)
    assert.is_true(extreme:item() < 5)
  end)

  it("stays below its end in float", function()
    local y, most = new("float", 2000000), new("float", 1)
    core.random_uniform(y, 0, 1, 1, 0, 0)
    core.reduce(most, y, "max", 0)
    assert.is_true(most:item() < 1)
  end)
end)

describe("random_normal", function()
  it("is normal", function()
    local y = new("double", 200000)
    core.random_normal(y, -1, 3, 42, 7, 0)
    local mean, variance, bound = moments(y)
    assert.is_true(math.abs(mean + 1) < bound * 3)
    assert.is_true(math.abs(variance - 9) < bound * 9 * math.sqrt(2))
    local is_inside, share = new("byte", 200000), new("double", 1)
    core.binary_scalar(y, y, 1, "add")
    core.unary(y, y, "abs")
    core.compare_scalar(is_inside, y, 3, "lt")
    core.reduce(share, compare.clone(is_inside, "double"), "mean", 0)
    assert.is_true(math.abs(share:item() - 0.6826894921) < bound * 0.466)
  end)

  it("is finite", function()
    local y, most = new("float", 1000000), new("float", 1)
    core.random_normal(y, 0, 1, 9, 0, 0)
    core.reduce(most, y, "norm", math.huge)
    assert.is_true(most:item() < 7)
  end)
end)

for _, op in ipairs { "random_uniform", "random_normal" } do
  describe(op, function()
    it("gives an element its number by its place", function()
      local whole, tail = new("float", 101), new("float", 61)
      core[op](whole, 0, 1, 3, 4, 1000)
      core[op](tail, 0, 1, 3, 4, 1020) -- two elements a position
      compare.identical(tail, whole:narrow(1, 41, 61), "the tail")
    end)

    it("gives float the rounded numbers of double", function()
      local exact, rounded = new("double", 1000), new("float", 1000)
      core[op](exact, 0, 1, 3, 4, 0)
      core[op](rounded, 0, 1, 3, 4, 0)
      compare.identical(rounded, compare.clone(exact, "float"), "float")
    end)

    it("gives any layout and number of threads the same numbers", function()
      local plain, transposed = new("double", 300, 200), new("double", 200, 300):transpose(1, 2)
      core.threads(1)
      core[op](plain, 0, 1, 3, 4, 0)
      core.threads(3)
      core[op](transposed, 0, 1, 3, 4, 0)
      compare.identical(compare.clone(transposed), plain, "transposed")
    end)

    it("depends on seed, stream and position", function()
      local y = {}
      for i, rng in ipairs { { 3, 4, 0 }, { 4, 4, 0 }, { 3, 5, 0 }, { 3, 4, 500 } } do
        y[i] = new("double", 20)
        core[op](y[i], 0, 1, table.unpack(rng))
        for j = 1, i - 1 do assert.are_not.same(y[j]:totable(), y[i]:totable()) end
      end
    end)
  end)
end

describe("random_permutation", function()
  it("has every number once", function()
    local y = new("long", 1000)
    core.random_permutation(y, 1, 2, 3)
    local order = y:totable()
    assert.is_true(order[1] ~= 1 or order[2] ~= 2 or order[3] ~= 3)
    table.sort(order)
    for i = 1, 1000 do assert.are.equal(i, order[i]) end
  end)

  it("gives every order as often", function()
    local n, count = 12000, {}
    local y = new("long", 3)
    for i = 1, n do
      core.random_permutation(y, 5, 0, i * 3)
      local word = table.concat(y:totable())
      count[word] = (count[word] or 0) + 1
    end
    local n_orders, bound = 0, 6 * math.sqrt(n / 6 * 5 / 6)
    for _, times in pairs(count) do
      n_orders = n_orders + 1
      assert.is_true(math.abs(times - n / 6) < bound)
    end
    assert.are.equal(6, n_orders)
  end)
end)

describe("dropout", function()
  it("drops the share that was asked for, and keeps the mean", function()
    local x, y, kept = new("float", 200000), new("float", 200000), new("byte", 200000)
    core.fill(x, 1)
    for _, probability in ipairs { 0.1, 0.5, 0.8 } do
      core.dropout_forward(y, x, probability, 21, 0, 0)
      core.compare_scalar(kept, y, 0, "gt")
      local share, _, bound = moments(compare.clone(kept, "double"))
      assert.is_true(math.abs(share - (1 - probability)) < bound * math.sqrt(probability * (1 - probability)))
      local mean = moments(compare.clone(y, "double"))
      assert.is_true(math.abs(mean - 1) < bound * math.sqrt(probability / (1 - probability)))
    end
  end)

  it("backward drops what forward dropped", function()
    local x, y, dx = new("float", 50001), new("float", 50001), new("float", 50001)
    core.random_uniform(x, 1, 2, 1, 1, 1)
    core.dropout_forward(y, x, 0.4, 21, 3, 7)
    core.dropout_backward(dx, x, 0.4, 21, 3, 7)
    compare.identical(dx, y, "dx of dy = x")
  end)

  it("drops infinities and NaN too", function()
    local x, y = new("float", 1000), new("float", 1000)
    core.fill(x, 0 / 0)
    core.dropout_forward(y, x, 0.5, 1, 0, 0)
    local n_zeros = 0
    for _, value in ipairs(y:totable()) do
      if value == 0 then n_zeros = n_zeros + 1 end
    end
    assert.is_true(n_zeros > 400 and n_zeros < 600)
  end)
end)
