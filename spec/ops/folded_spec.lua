-- Packed weights: they change no bit of a result, whoever packed them, and those for other loops are not used.
local core = require "densenet.core"
local compare = require "spec.support.compare"
local dn = require "densenet"
local sorted = require "spec.support.sorted"

local GEOMETRIES = {
  ["1x1"] = { 3, 20, 9, 11, 13, 1, 1, 0 },
  ["3x3"] = { 3, 20, 9, 11, 13, 3, 1, 1 },
  ["7x7 with stride 2"] = { 2, 3, 32, 29, 16, 7, 2, 3 },
}

describe("folded_conv with packed weights", function()
  after_each(function() core.testing.tiles(core.testing.tiles()[1]) end)

  for name, g in sorted(GEOMETRIES) do
    for _, dtype in ipairs { "float", "double" } do
      it(("gives what it gives without: %s in %s"):format(name, dtype), function()
        local n, c, h, w, k, side, stride, pad = table.unpack(g)
        local x, weight = dn.randn(n, c, h, w):type(dtype), dn.randn(k, c, side, side):type(dtype)
        local after = dn.randn(4, k):type(dtype)
        local p, q = core.conv2d_output_size(h, w, side, side, stride, stride, pad, pad)
        local y = dn.zeros(n, k, p, q):type(dtype)
        local expected = dn.zeros(n, k, p, q):type(dtype)
        local count = core.folded_conv_count({ k, c, side, side }, stride, stride, pad, pad, 1)
        for _, packedFor in ipairs(core.testing.tiles()) do
          local packed = core.tensor_new("cpu", dtype, { count })
          core.testing.tiles(packedFor)
          core.folded_conv_pack(packed, weight, after, stride, stride, pad, pad, 1)
          for _, usedBy in ipairs(core.testing.tiles()) do
            core.testing.tiles(usedBy)
            core.folded_conv(expected, x, nil, weight, after, nil, stride, stride, pad, pad, 1)
            core.fill(y, 0 / 0)
            core.folded_conv(y, x, nil, weight, after, packed, stride, stride, pad, pad, 1)
            compare.identical(y, expected, packedFor .. " used by " .. usedBy)
          end
        end
      end)
    end
  end

  it("believes them and not the weight, so whoever keeps them must know when to make them anew", function()
    local x, weight = dn.ones(1, 2, 2, 2), dn.ones(3, 2, 1, 1)
    local packed = core.tensor_new("cpu", "float", { core.folded_conv_count({ 3, 2, 1, 1 }, 1, 1, 0, 0, 1) })
    core.folded_conv_pack(packed, weight, nil, 1, 1, 0, 0, 1)
    weight:fill(5)
    local y = dn.zeros(1, 3, 2, 2)
    core.folded_conv(y, x, nil, weight, nil, packed, 1, 1, 0, 0, 1)
    assert.equal(2, y:max())
  end)
end)
