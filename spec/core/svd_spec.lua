-- core.svd: singular value decompositions give their matrix back, are what they say, and refuse misuse.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"

local function decomposed(a)
  local g, m, n = table.unpack(a:size())
  local k = math.min(m, n)
  local u, s, v = dn.empty(g, m, k, "double"), dn.empty(g, k, "double"), dn.empty(g, k, n, "double")
  core.svd(u, s, v, a)
  return u, s, v
end

local function product(a, b)
  local c = dn.zeros(a:size(1), b:size(2), "double")
  core.gemm(c, a, b, 1, 0)
  return c
end

local function scaled(u, s) -- the columns of u times s
  local result = u:clone()
  for i = 1, s:size(1) do result:select(2, i):mul(s:at(i)) end
  return result
end

local function identity(n)
  local result = dn.zeros(n, n, "double")
  for i = 1, n do result[i][i] = 1 end
  return result
end

describe("core.svd", function()
  for _, size in ipairs { { 1, 1, 1 }, { 1, 5, 5 }, { 3, 4, 9 }, { 3, 12, 9 }, { 1, 48, 150 }, { 1, 150, 48 } } do
    it(("of %d matrices %dx%d gives them back"):format(table.unpack(size)), function()
      dn.manualSeed(3)
      local a = dn.randn(size[1], size[2], size[3], "double")
      local u, s, v = decomposed(a)
      for g = 1, size[1] do
        local k = s:size(2)
        compare.near(product(scaled(u[g], s[g]), v[g]), a[g], 1e-13, "u s v")
        compare.near(product(u[g]:t(), u[g]), identity(k), 1e-13, "u' u")
        compare.near(product(v[g], v[g]:t()), identity(k), 1e-13, "v v'")
        for i = 2, k do assert.is_true(s[g]:at(i) <= s[g]:at(i - 1)) end
      end
    end)
  end

  it("finds the values of a diagonal, largest first", function()
    local _, s = decomposed(dn.tensor({ { { 0, 2, 0 }, { -3, 0, 0 } } }, "double"))
    assert.same({ { 3, 2 } }, s:totable())
  end)

  it("of too low a rank gives the matrix back, and of zeros zeros", function()
    local a = dn.tensor({ { { 1, 2, 3 }, { 2, 4, 6 }, { 0, 0, 0 } } }, "double")
    local u, s, v = decomposed(a)
    compare.near(product(scaled(u[1], s[1]), v[1]), a[1], 1e-14, "u s v")
    assert.is_true(s:at(1, 2) < 1e-14)
    u, s, v = decomposed(dn.zeros(1, 2, 3, "double"))
    assert.same({ { 0, 0 } }, s:totable())
    compare.near(product(u[1]:t(), u[1]), identity(2), 1e-15, "u' u")
    assert.equal(0, v:abs():sum())
  end)

  it("of NaN is NaN, and ends", function()
    local _, s = decomposed(dn.tensor({ { { 1, 0 / 0 }, { 2, 3 } } }, "double"))
    assert.is_true(s:at(1, 1) ~= s:at(1, 1) or s:at(1, 2) ~= s:at(1, 2))
  end)

  it("refuses other sizes and dtypes", function()
    local function new(...) return dn.zeros(...) end
    local a = new(1, 3, 4, "double")
    assert.error_matches(function()
      core.svd(new(1, 3, 4, "double"), new(1, 4, "double"), new(1, 4, 4, "double"), a)
    end, "bad argument #2 .*s has 4 values a matrix; expected 3")
    assert.error_matches(function()
      core.svd(new(1, 3, 3, "double"), new(1, 3, "double"), new(1, 3, 3, "double"), a)
    end, "bad argument #3 .*v is 1x3x3")
    assert.error_matches(function() core.svd(new(1, 1, 1), new(1, 1), new(1, 1, 1), new(1, 1, 1)) end,
      "bad argument #4 .*a is float on cpu; expected double on cpu")
    assert.error_matches(function() core.svd(1, 2, 3, 4) end, "bad argument #1")
  end)
end)
