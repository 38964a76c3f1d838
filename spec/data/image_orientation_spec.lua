-- Pictures turned upright as a camera says.
local dn = require "densenet"
local orientation = require "densenet.image_orientation"
local temporary = require "spec.support.temporary"

-- A JPEG's beginning with an orientation in its EXIF, of either order of bytes.
local function exif(mark, value)
  local o = mark == "II" and "<" or ">"
  local tiff = mark .. string.pack(o .. "I2I4", 42, 8) .. string.pack(o .. "I2", 2)
    .. string.pack(o .. "I2I2I4I4", 0x0100, 4, 1, 7) .. string.pack(o .. "I2I2I4I2I2", 0x0112, 3, 1, value, 0)
    .. string.pack(o .. "I4", 0)
  local segment = "Exif\0\0" .. tiff
  return "\xff\xd8\xff\xe0" .. string.pack(">I2", 4) .. "ab\xff\xe1" .. string.pack(">I2", #segment + 2) .. segment
    .. "\xff\xda\0\2"
end

describe("a camera's orientation", function()
  it("is read from JPEG files", function()
    assert.equal(6, orientation.of(temporary.read("spec/golden/images/exif_orientation6.jpg")))
    for value = 1, 8 do
      assert.equal(value, orientation.of(exif("II", value)))
      assert.equal(value, orientation.of(exif("MM", value)))
    end
  end)

  it("is upright where nothing, or nonsense, is said", function()
    for _, content in ipairs { "", "\xff\xd8", exif("II", 0), exif("MM", 9), exif("XX", 6),
      temporary.read("spec/golden/images/rgb8.png"), temporary.read("spec/golden/images/baseline_444.jpg") } do
      assert.equal(1, orientation.of(content))
    end
    local whole = exif("II", 6)
    for n = 0, #whole - 1 do
      local value = orientation.of(whole:sub(1, n))
      assert.is_true(value == 1 or value == 6)
    end
  end)

  it("is taken back", function()
    -- What a camera stores of the upright picture 1 2 3 / 4 5 6, by orientation.
    local stored = {
      { { 1, 2, 3 }, { 4, 5, 6 } }, { { 3, 2, 1 }, { 6, 5, 4 } }, { { 6, 5, 4 }, { 3, 2, 1 } },
      { { 4, 5, 6 }, { 1, 2, 3 } }, { { 1, 4 }, { 2, 5 }, { 3, 6 } }, { { 3, 6 }, { 2, 5 }, { 1, 4 } },
      { { 6, 3 }, { 5, 2 }, { 4, 1 } }, { { 4, 1 }, { 5, 2 }, { 6, 3 } },
    }
    for number, rows in ipairs(stored) do
      local upright = orientation.upright(dn.tensor({ rows }, "byte"), number)
      assert.same(stored[1], upright:totable()[1], tostring(number))
    end
  end)
end)
