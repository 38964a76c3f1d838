-- Resizing, to the bit, against its definitions written out pixel by pixel, for sizes of all proportions; windows of
-- the result against the whole of it.
local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"
local random = require "densenet.random"

local function noise(channels, height, width, seed)
  local numbers = core.tensor_new("cpu", "float", { channels, height, width })
  core.random_uniform(numbers, 0, 256, seed, 0, 0)
  return compare.clone(numbers, "byte")
end

local function same(a, b) return (a:type("long") - b:type("long")):abs():max() == 0 end

-- PIL's: weights of 22 bits.
local function triangle(x) return x < 1 and 1 - x or 0 end

local function cubic(x)
  if x < 1 then return (1.5 * x - 2.5) * x * x + 1 end
  return x < 2 and ((-0.5 * x + 2.5) * x - 4) * x + 2 or 0
end

local FILTERS = { bilinear = { triangle, 1 }, bicubic = { cubic, 2 } }

-- For each of n pixels made of nIn: the first that counts, from 1, and whole weights.
local function weightsOf(filter, nIn, n)
  local weigh, reach = table.unpack(FILTERS[filter])
  local scale, list = nIn / n, {}
  local wide = math.max(1, scale)
  for i = 1, n do
    local centre = (i - 0.5) * scale
    local low = math.max(0, math.floor(centre - reach * wide + 0.5))
    local high = math.min(nIn, math.floor(centre + reach * wide + 0.5))
    local weights, sum = {}, 0
    for j = low, high - 1 do
      weights[#weights + 1] = weigh(math.abs(j - centre + 0.5) / wide)
      sum = sum + weights[#weights]
    end
    for k, weight in ipairs(weights) do
      local whole = weight / sum * (1 << 22)
      weights[k] = whole < 0 and math.ceil(whole - 0.5) or math.floor(whole + 0.5)
    end
    list[i] = { low, weights }
  end
  return list
end

-- One row of numbers, and the weights.
local function resample(row, list)
  local out = {}
  for i, one in ipairs(list) do
    local sum = 1 << 21
    for k, weight in ipairs(one[2]) do sum = sum + weight * row[one[1] + k] end
    out[i] = math.max(0, math.min(255, sum // (1 << 22)))
  end
  return out
end

local function transposed(rows)
  local out = {}
  for x = 1, #rows[1] do
    out[x] = {}
    for y = 1, #rows do out[x][y] = rows[y][x] end
  end
  return out
end

local function pil(image, filter, height, width)
  local across, down = weightsOf(filter, image:size(3), width), weightsOf(filter, image:size(2), height)
  local planes = {}
  for c, rows in ipairs(image:totable()) do
    for y, row in ipairs(rows) do rows[y] = resample(row, across) end
    local columns = transposed(rows)
    for x, column in ipairs(columns) do columns[x] = resample(column, down) end
    planes[c] = transposed(columns)
  end
  return core.tensor_from("cpu", "byte", planes)
end

-- height, width before and after
local SIZES = {
  { 5, 7, 5, 7 }, { 1, 1, 1, 1 }, { 1, 1, 9, 4 }, { 9, 4, 1, 1 }, { 40, 33, 20, 17 }, { 33, 40, 50, 61 },
  { 17, 90, 16, 3 },
  { 90, 17, 3, 40 }, { 16, 16, 15, 17 }, { 100, 2, 31, 31 }, { 2, 100, 64, 7 }, { 47, 48, 32, 32 }, { 65, 129, 33, 64 },
}

describe("the resize of bytes", function()
  for _, filter in ipairs { "bilinear", "bicubic" } do
    it("is PIL's arithmetic to the bit: " .. filter, function()
      for seed, size in ipairs(SIZES) do
        local image = noise(2, size[1], size[2], seed)
        local out = core.tensor_new("cpu", "byte", { 2, size[3], size[4] })
        core.image_resize(out, image, filter)
        assert.is_true(same(out, pil(image, filter, size[3], size[4])), table.concat(size, " "))
      end
    end)
  end

  it("clips what overshoots at both ends", function()
    local image = core.tensor_from("cpu", "byte", { { { 0, 0, 255, 255, 0, 255 } } })
    local out = core.tensor_new("cpu", "byte", { 1, 1, 13 })
    core.image_resize(out, image, "bicubic")
    assert.is_true(same(out, pil(image, "bicubic", 1, 13)))
    assert.same({ 0, 255 }, { out:min(), out:max() })
  end)
end)

describe("a window of a resize", function()
  it("is what the crop of the whole would be, of a part of the image or of all of it, in every dtype", function()
    local rng = random.generator(3, 1)
    for turn = 1, 60 do
      local function pick(n) return rng:integer(n) end
      local height, width = pick(60), pick(60)
      local image = noise(2, height, width, turn)
      local top, left = pick(height), pick(width)
      local h, w = pick(height - top + 1), pick(width - left + 1)
      local scaledHeight, scaledWidth = pick(70), pick(70)
      local row, column = pick(scaledHeight), pick(scaledWidth)
      local outHeight, outWidth = pick(scaledHeight - row + 1), pick(scaledWidth - column + 1)
      local filter = ({ "bilinear", "bicubic", "torch" })[turn % 3 + 1]
      for _, dtype in ipairs { "byte", "float", "double" } do
        for _, from in ipairs { "byte", dtype } do
          local source = compare.clone(image, from)
          local part = source:narrow(2, top, h):narrow(3, left, w)
          local whole = core.tensor_new("cpu", dtype, { 2, scaledHeight, scaledWidth })
          core.image_resize(whole, part:contiguous(), filter)
          local out = core.tensor_new("cpu", dtype, { 2, outHeight, outWidth })
          core.image_resample(out, source, filter, scaledHeight, scaledWidth, row - 1, column - 1, top - 1, left - 1,
            h, w)
          local expected = whole:narrow(2, row, outHeight):narrow(3, column, outWidth)
          assert.equal(0, (out:type("double") - expected:type("double")):abs():max())
        end
      end
    end
  end)

  it("outside of the image, or of what it is scaled to, is refused", function()
    local image, out = noise(1, 8, 9, 1), core.tensor_new("cpu", "byte", { 1, 4, 4 })
    local function refused(pattern, ...)
      assert.matches(pattern, select(2, pcall(core.image_resample, out, image, "bilinear", ...)))
    end
    refused("#3.*rectangle of 8x9 pixels at %(1, 0%) of an image of 8x9", 5, 5, 0, 0, 1, 0)
    refused("#3.*rectangle of 3x9 pixels at %(%-1, 0%)", 5, 5, 0, 0, -1, 0, 3)
    refused("#3.*rectangle of 0x9 pixels", 5, 5, 0, 0, 0, 0, 0)
    refused("#3.*4x4 pixels at %(2, 0%) of a scaled image of 5x5", 5, 5, 2, 0)
    refused("#3.*4x4 pixels at %(0, %-1%)", 5, 5, 0, -1)
    refused("#3.*cannot resize an image of 0x5", 0, 5, 0, 0)
    refused("#3.*rectangle of 9223372036854775807x9", 5, 5, 0, 0, 3, 0, math.maxinteger)
    local _, message = pcall(core.image_resample, out, image, "lanczos", 5, 5, 0, 0)
    assert.matches("#3.*invalid option 'lanczos'", message)
  end)
end)

describe("Torch7's bicubic", function()
  -- Along a row, by its definition: Catmull-Rom through four pixels, corners on corners.
  local function torch(row, n)
    local nIn, out = #row, {}
    if nIn == n then return row end
    for i = 1, n - 1 do
      local place = (i - 1) * ((nIn - 1) / (n - 1))
      local left = math.floor(place)
      local t, p1, p2 = place - left, row[left + 1], row[math.min(left + 2, nIn)]
      local p0, p3 = row[left] or 2 * p1 - p2, row[left + 3] or 2 * p2 - p1
      out[i] = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    end
    out[n] = row[nIn]
    return out
  end

  it("is that of its definition, without rounding or clipping, in both directions", function()
    for seed, size in ipairs(SIZES) do
      local image = noise(1, size[1], size[2], seed)
      local rows = image:totable()[1]
      for y, row in ipairs(rows) do rows[y] = torch(row, size[4]) end
      local columns = transposed(rows)
      for x, column in ipairs(columns) do columns[x] = torch(column, size[3]) end
      local out = core.tensor_new("cpu", "double", { 1, size[3], size[4] })
      core.image_resize(out, image, "torch")
      compare.near(out, core.tensor_from("cpu", "double", { transposed(columns) }), 1e-12, table.concat(size, " "))
    end
  end)

  it("keeps the corners and makes byte images float in a transform", function()
    local image = noise(3, 20, 30, 5)
    local out = dn.data.transforms.Scale(31, "torch")(image)
    assert.same({ 3, 31, 46 }, out:size())
    assert.equal("float", out:dtype())
    for _, corner in ipairs { { 1, 1, 1, 1 }, { 1, 30, 1, 46 }, { 20, 1, 31, 1 }, { 20, 30, 31, 46 } } do
      assert.equal(image:at(2, corner[1], corner[2]), out:at(2, corner[3], corner[4]))
    end
    assert.equal("double", dn.data.transforms.Scale(31, "torch")(image, nil, "double"):dtype())
    assert.equal("byte", dn.data.transforms.Scale(31)(image):dtype())
  end)
end)
