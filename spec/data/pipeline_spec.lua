-- Evaluation as torchvision and Pillow do it, pixel for pixel, against spec/golden/pipeline (make_pipeline.py tells
-- what that is): recipes, transforms, and the one call that makes an image of a batch.
local dn = require "densenet"
local compare = require "spec.support.compare"
local imageSteps = require "densenet.data.image_steps"

local transforms, recipes = dn.data.transforms, dn.data.recipe
local DIRECTORY = "spec/golden/pipeline/"
local PHOTOS = { "cat_451x300", "astronaut_333x500", "cat_359x270" }
local NAMES = { bilinear = "torchvision", bicubic = "timm" }
local MEAN, STD = { 0.485 * 255, 0.456 * 255, 0.406 * 255 }, { 0.229 * 255, 0.224 * 255, 0.225 * 255 }

local golden

local function photo(name) return DIRECTORY .. name .. ".jpg" end

-- Is there a libjpeg in this build?
local hasJpeg = select(3, dn.image.load(photo(PHOTOS[1]))) ~= "unsupported"

local function it_(name, test)
  it(name, hasJpeg and test or function() return pending("no JPEG in this build") end)
end

local function same(a, b)
  if table.concat(a:size(), "x") ~= table.concat(b:size(), "x") then return false end
  return (a:type("long") - b:type("long")):abs():max() == 0
end

-- The bytes that a normalised image was made of.
local function bytesOf(input)
  local bytes = input:type("double")
  for c = 1, 3 do bytes:select(1, c):mul(STD[c]):add(MEAN[c]) end
  return bytes:round():type("byte")
end

local function everySeventh(image)
  local rows = {}
  for y = 1, image:size(2), 7 do rows[#rows + 1] = image:narrow(2, y, 1) end
  return dn.cat(rows, 2)
end

describe("photos as torchvision prepares them", function()
  setup(function() golden = assert(dn.safetensors.load(DIRECTORY .. "expected.safetensors")) end)
  teardown(function() golden = nil end)

  for _, name in ipairs(PHOTOS) do
    for _, filter in ipairs { "bilinear", "bicubic" } do
      it_(("%s, %s: the recipe's bytes, means and logits"):format(name, filter), function()
        local recipe = NAMES[filter]
        local given, key = assert(recipes.named(recipe)), name .. "/" .. filter .. "/"
        local input = assert(recipes.transform(given)(photo(name)))
        assert.is_true(same(everySeventh(bytesOf(input)), golden[key .. "rows"]))
        compare.near(input:view(3, -1):mean(2):view(3), golden[key .. "mean"], 1e-6, "means")
        local model = dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, initChannels = 8, nClasses = 5,
          inputChannels = 3, stem = "imagenet" }
        local state = {}
        for entry, tensor in pairs(golden) do
          if entry:find "^net/" then state[entry:sub(5)] = tensor end
        end
        model:loadStateDict(state):evaluate()
        compare.near(model:forward(input:view(1, 3, 224, 224)):view(5), golden[key .. "logits"], 1e-6, "logits")
        local ten = assert(recipes.transform(given, { tenCrop = true })(photo(name)))
        compare.near(model:forward(ten):sum(1):view(5), golden[key .. "logits_ten"], 2e-6, "logits of ten crops")
      end)
    end

    it_(name .. ": transforms of bytes, and one call, to the bit", function()
      local image = assert(dn.image.load(photo(name)))
      for filter in pairs(NAMES) do
        assert.is_true(same(transforms.Scale(48, filter)(image), golden[name .. "/scale48_" .. filter]))
      end
      local scaled = transforms.Scale(48)(image)
      local ours = transforms.TenCrop(40, { rounding = "even" })(scaled)
      for place, theirs in ipairs { 5, 1, 2, 3, 4, 10, 6, 7, 8, 9 } do
        assert.is_true(same(ours:select(1, place), golden[name .. "/ten40"]:select(1, theirs)))
      end
      local chain = transforms.Compose { transforms.Scale(48), transforms.ColorNormalize { mean = MEAN, std = STD },
        transforms.CenterCrop(40, { rounding = "even" }) }
      local out = dn.zeros(2, 3, 40, 40)
      local load, size = imageSteps(chain, 3)
      assert.equal(40, size)
      assert.is_true(load(out, 2, photo(name), 1, 1))
      compare.near(out:select(1, 2), golden[name .. "/normalized40"], 1e-6, "one call")
      assert.equal(0, (out:select(1, 2) - chain(image)):abs():max())
      assert.equal(0, out:select(1, 1):abs():max())
    end)

    it_(name .. ": made larger", function()
      local part = dn.image.crop(dn.image.load(photo(name)), { 24, 32 }, 101, 101)
      assert.is_true(same(dn.image.scale(part, { 48, 64 }, "bicubic"), golden[name .. "/upscaled"]))
    end)
  end

  it("hard edges, clipped where a sum leaves 0 to 255", function()
    for key, expected in pairs(golden) do
      local height, width = key:match "^edge/(%d+)x(%d+)$"
      if height then
        local size = { math.tointeger(height), math.tointeger(width) }
        assert.is_true(same(dn.image.scale(golden["edge/source"], size, "bicubic"), expected), key)
      end
    end
  end)

  it("CenterCrop rounds half to even, or up", function()
    for key, place in pairs(golden) do
      local height, width, side = key:match "^center_crop/(%d+)x(%d+)_to_(%d+)$"
      if height then
        height, width, side = math.tointeger(height), math.tointeger(width), math.tointeger(side)
        -- A pixel's number names its place.
        local numbers = dn.range(0, height * width - 1):view(1, height, width)
        local function first(rounding)
          local number = transforms.CenterCrop(side, { rounding = rounding })(numbers):at(1, 1, 1)
          return { number // width, number % width }
        end
        assert.same(place:totable(), first "even")
        assert.same({ (height - side + 1) // 2, (width - side + 1) // 2 }, first "up")
      end
    end
  end)
end)
