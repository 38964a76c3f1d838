-- Transforms of host images in C: values worked out by hand, PyTorch's numbers for resampling, and
-- the batch pass bit for bit against its steps.

local core = require "densenet.core"
local tablex = require "pl.tablex"
require "densenet.tensor"
local compare = require "spec.support.compare"
local random = require "densenet.random"

local function tensor(dtype, values) return core.tensor_from("cpu", dtype, values) end
local function empty(dtype, ...) return core.tensor_new("cpu", dtype, { ... }) end

-- Filled with something that no transform makes, so that a pixel left out shows.
local function poisoned(dtype, ...)
  local out = empty(dtype, ...)
  core.fill(out, 99)
  return out
end

-- 5x7, values as in the recipe beside the resized numbers below.
local function picture(dtype)
  local rows = {}
  for y = 1, 5 do
    rows[y] = {}
    for x = 1, 7 do rows[y][x] = ((y - 1) * 7 + x - 1) * 37 % 101 end
  end
  return tensor(dtype, { rows })
end

describe("image_flip", function()
  for _, dtype in ipairs { "byte", "float", "double" } do
    it("mirrors every row of every channel of " .. dtype, function()
      local out = poisoned(dtype, 2, 2, 3)
      core.image_flip(out, tensor(dtype, { { { 1, 2, 3 }, { 4, 5, 6 } }, { { 7, 8, 9 }, { 0, 1, 2 } } }))
      assert.same({ { { 3, 2, 1 }, { 6, 5, 4 } }, { { 9, 8, 7 }, { 2, 1, 0 } } }, out:totable())
    end)
  end

  it("reads and writes views with whole rows", function()
    local batch, out = tensor("byte", { { { { 1, 2 } } }, { { { 3, 4 } } } }), poisoned("byte", 1, 3, 2)
    core.image_flip(out:narrow(2, 2, 1), batch:select(1, 2))
    assert.same({ { { 99, 99 }, { 4, 3 }, { 99, 99 } } }, out:totable())
  end)

  it("refuses other shapes, dtypes, gaps and its own input", function()
    local image = picture("float")
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(core.image_flip, ...))) end
    refused("#1.*must be 1x5x7 as the image, got 1x5x6", empty("float", 1, 5, 6), image)
    refused("#1.*has 2 channels, the image has 1", empty("float", 2, 5, 7), image)
    refused("#1.*is double, the image is float", empty("double", 1, 5, 7), image)
    refused("#2.*an image is C,H,W, got 5x7", empty("float", 1, 5, 7), image:select(1, 1))
    refused("#1.*byte, float or double, got long", empty("long", 1, 5, 7), empty("long", 1, 5, 7))
    refused("#1.*shares memory", image, image)
    refused("#2.*rows of the image have gaps", empty("float", 1, 7, 5), image:transpose(2, 3))
  end)
end)

describe("image_crop", function()
  local image = { { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } } }

  it("cuts out of the middle and beyond each edge", function()
    local places = {
      [{ 1, 1 }] = { { { 5, 6 }, { 8, 9 } } },
      [{ 0, 0 }] = { { { 1, 2 }, { 4, 5 } } },
      [{ -1, -1 }] = { { { 0, 0 }, { 0, 1 } } },
      [{ 2, -1 }] = { { { 0, 7 }, { 0, 0 } } },
      [{ -1, 2 }] = { { { 0, 0 }, { 3, 0 } } },
      [{ 2, 2 }] = { { { 9, 0 }, { 0, 0 } } },
      [{ 3, 0 }] = { { { 0, 0 }, { 0, 0 } } },
      [{ 0, -2 }] = { { { 0, 0 }, { 0, 0 } } },
      [{ -1000000, 1000000 }] = { { { 0, 0 }, { 0, 0 } } },
    }
    for place, expected in pairs(places) do
      for _, dtype in ipairs { "byte", "float", "double" } do
        local out = poisoned(dtype, 1, 2, 2)
        core.image_crop(out, tensor(dtype, image), place[1], place[2])
        assert.same(expected, out:totable(), table.concat(place, ","))
      end
    end
  end)

  it("takes an output that is larger than the image on all sides", function()
    local out = poisoned("float", 1, 3, 5)
    core.image_crop(out, tensor("float", { { { 1, 2, 3 } } }), -1, -1)
    assert.same({ { { 0, 0, 0, 0, 0 }, { 0, 1, 2, 3, 0 }, { 0, 0, 0, 0, 0 } } }, out:totable())
  end)

  it("refuses offsets that overflow", function()
    local out = empty("byte", 1, 2, 2)
    assert.matches("#3", select(2, pcall(core.image_crop, out, tensor("byte", image), math.mininteger, 0)))
    assert.matches("#4", select(2, pcall(core.image_crop, out, tensor("byte", image), 0, math.maxinteger)))
  end)
end)

describe("image_resize", function()
  -- torch.nn.functional.interpolate(x, size, mode=, antialias=True, align_corners=False) in double,
  -- PyTorch 2.15, with x = (torch.arange(35) * 37 % 101).reshape(1, 1, 5, 7).
  local expected = {
    bilinear = {
      {
        { 41.748299320, 50.600000000, 37.302857143, 52.530612245 },
        { 43.068783069, 56.293333333, 47.164444444, 62.783068783 },
        { 43.625850340, 62.371428571, 46.188571429, 48.224489796 },
      },
      {
        { 29.454545455, 44.185950413, 61.471074380, 58.723140496, 50.966942149, 39.454545455, 33.785123967,
          40.636363636, 64.181818182, 57.677685950, 49.454545455 },
        { 42.454545455, 40.491735537, 41.082644628, 61.706611570, 63.966942149, 52.454545455, 46.785123967,
          44.871900826, 47.966942149, 56.070247934, 62.454545455 },
      },
    },
    bicubic = {
      {
        { 42.199945043, 51.433435834, 35.661886965, 53.366488055 },
        { 43.744272237, 56.171491843, 45.867969622, 65.894427743 },
        { 41.483396019, 64.295723342, 46.037956918, 47.655879575 },
      },
      {
        { 25.635703740, 42.432731057, 63.152306811, 60.538156927, 50.739380743, 38.030219196, 28.979176796,
          39.280217237, 68.779992354, 59.382765645, 46.466660127 },
        { 43.242096058, 39.027948360, 39.743684135, 65.458508124, 68.475220122, 52.892104703, 46.654878374,
          44.408596135, 46.172184276, 56.360214992, 64.015623337 },
      },
      { -- enlarged
        { -5.852955305, 17.843700580, 58.413894077, 66.875773819, 5.898523985, 38.598532590, 78.546130523,
          66.901489193, 12.524913208 },
        { 22.967095890, 50.394243472, 61.872742455, 50.059988308, 34.718575180, 25.293196056, 48.691534524,
          60.281869261, 43.817242924 },
        { 55.078877647, 86.575365339, 67.448891387, 34.190925839, 66.839111328, 13.127115551, 19.127140333,
          55.144513811, 78.536897016 },
        { 20.576823398, 52.413247245, 75.050300169, 66.337901509, 32.681396484, 40.625055928, 70.846945262,
          72.857090541, 40.760700294 },
        { 26.454400599, 27.718117850, 54.655008366, 72.977674194, 36.743896484, 44.459662041, 77.072111739,
          79.462467739, 44.662703113 },
        { 72.011257917, 23.586168562, 15.700106062, 53.115797841, 79.026611328, 25.128156916, 33.084094724,
          69.412549700, 90.593081141 },
        { 46.617555164, 38.196932135, 54.717169610, 74.604153502, 56.240780911, 50.923995558, 31.224023857,
          35.959714905, 68.232978286 },
        { 20.738444071, 50.229770691, 89.984984233, 93.322708659, 32.833948339, 72.811198174, 36.422020763,
          12.636267791, 44.585427629 },
      },
    },
  }

  for filter, sizes in tablex.sort(expected) do
    for _, rows in ipairs(sizes) do
      it(("is PyTorch's %s to %dx%d, from bytes too"):format(filter, #rows, #rows[1]), function()
        local right = tensor("double", { rows })
        for _, from in ipairs { "byte", "float", "double" } do
          local double, float = poisoned("double", 1, #rows, #rows[1]), poisoned("float", 1, #rows, #rows[1])
          core.image_resize(double, picture(from), filter)
          core.image_resize(float, picture(from), filter)
          compare.near(double, right, 1e-11, "double from " .. from) -- nine decimals are written down
          compare.near(float, right, compare.tolerance.float, "float from " .. from)
        end
      end)
    end
  end

  it("keeps an image of its own size, an even one, and takes single pixels", function()
    local same = poisoned("double", 1, 5, 7)
    core.image_resize(same, picture("double"), "bicubic")
    compare.near(same, picture("double"), 1e-15, "same size")
    local even, out = empty("float", 3, 9, 4), poisoned("float", 3, 2, 13)
    core.fill(even, 7)
    core.image_resize(out, even, "bilinear")
    for _, channel in ipairs(out:totable()) do
      for _, row in ipairs(channel) do
        for _, value in ipairs(row) do assert.near(7, value, 1e-6) end
      end
    end
    local wide = poisoned("double", 1, 3, 3)
    core.image_resize(wide, tensor("byte", { { { 5 } } }), "bicubic")
    compare.near(wide, tensor("double", { { { 5, 5, 5 }, { 5, 5, 5 }, { 5, 5, 5 } } }), 1e-15, "one pixel")
  end)

  it("refuses what cannot be resized", function()
    local image = picture("float")
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(core.image_resize, ...))) end
    refused("#1.*cannot resize an image of 0x4", empty("float", 1, 0, 4), image, "bicubic")
    refused("#2.*cannot resize an image of 5x0", empty("float", 1, 2, 2), empty("float", 1, 5, 0), "bicubic")
    refused("#1.*float or double here, got byte", empty("byte", 1, 2, 2), image, "bicubic")
    refused("#3.*nearest", empty("float", 1, 2, 2), image, "nearest")
    refused("#1.*has 3 channels", empty("float", 3, 2, 2), image, "bicubic")
  end)

  it("gives its scratch memory back, also when there is none", function()
    local out, image = empty("float", 1, 3, 3), picture("float")
    collectgarbage()
    local before = core.memory("cpu").blocks
    core.image_resize(out, image, "bicubic")
    core.memory_limit("cpu", 1)
    assert.matches("out of memory", select(2, pcall(core.image_resize, out, image, "bicubic")))
    core.memory_limit("cpu", 0)
    core.testing.alloc_refuse(1) -- once: the binding collects and tries again
    core.image_resize(out, image, "bicubic")
    assert.equal(before, core.memory("cpu").blocks)
  end)
end)

describe("image_rotate", function()
  local square = { { { 1, 8, 15, 5 }, { 12, 2, 9, 16 }, { 6, 13, 3, 10 }, { 17, 7, 14, 4 } } }

  it("turns counter-clockwise by quarter turns", function()
    local out = poisoned("double", 1, 4, 4)
    core.image_rotate(out, tensor("double", square), math.pi / 2)
    local right = tensor("double", { { { 5, 16, 10, 4 }, { 15, 9, 3, 14 }, { 8, 2, 13, 7 }, { 1, 12, 6, 17 } } })
    compare.near(out, right, 1e-14, "quarter turn")
    core.image_rotate(out, tensor("byte", square), 0)
    assert.same(square, out:totable())
  end)

  it("is PyTorch's grid_sample (zeros, align_corners) between the pixels", function()
    -- affine_grid of {{cos, -sin, 0}, {sin, cos, 0}} for 0.3 radians, PyTorch 2.15, double.
    local right = {
      { 2.851580518, 10.349930184, 11.038798598, 6.619506378 },
      { 6.758828565, 3.943213099, 8.857447283, 12.139720711 },
      { 8.083452875, 10.613674913, 5.717946620, 7.507837447 },
      { 7.102222661, 10.961201402, 9.873243402, 5.677524913 },
    }
    for _, dtype in ipairs { "byte", "float", "double" } do
      local out = poisoned("double", 1, 4, 4)
      core.image_rotate(out, tensor(dtype, square), 0.3)
      compare.near(out, tensor("double", { right }), 1e-9, dtype)
    end
  end)

  it("refuses angles that are none and other sizes", function()
    local out = empty("float", 1, 4, 4)
    assert.matches("#3", select(2, pcall(core.image_rotate, out, tensor("byte", square), 0 / 0)))
    assert.matches("#1", select(2, pcall(core.image_rotate, empty("float", 1, 4, 3), tensor("byte", square), 1)))
  end)
end)

describe("image_normalize", function()
  it("takes the channel's mean and deviation, from bytes and in place", function()
    local bytes = tensor("byte", { { { 10, 20 } }, { { 0, 255 } } })
    for _, dtype in ipairs { "float", "double" } do
      local out = poisoned(dtype, 2, 1, 2)
      core.image_normalize(out, bytes, { 10, 127.5 }, { 4, 0.5 })
      assert.same({ { { 0, 2.5 } }, { { -255, 255 } } }, out:totable())
      local same = compare.clone(bytes, dtype)
      core.image_normalize(same, same, { 10, 127.5 }, { 4, 0.5 })
      assert.same(out:totable(), same:totable())
    end
  end)

  it("refuses other numbers of channels and deviations that divide by nothing", function()
    local image, out = picture("byte"), empty("float", 1, 5, 7)
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(core.image_normalize, ...))) end
    refused("#3.*has 2 numbers, the image has 1 channel", out, image, { 1, 2 }, { 1, 2 })
    refused("#4.*as many standard deviations", out, image, { 1 }, { 1, 2 })
    refused("#4.*standard deviation 0 of channel 1", out, image, { 1 }, { 0 })
    refused("#4.*standard deviation %-?nan", out, image, { 1 }, { tensor("double", { 0 / 0 }):at(1) })
    refused("#3.*list of numbers", out, image, { "x" }, { 1 })
    refused("#2.*is double", out, picture("double"), { 1 }, { 1 })
  end)
end)

describe("image_augment_batch", function()
  local N, C, H, W = 6, 3, 5, 7

  local function images()
    local numbers = empty("float", N, C, H, W)
    core.random_uniform(numbers, 0, 256, 3, 0, 0)
    return compare.clone(numbers, "byte")
  end

  local order = { 4, 1, 6, 6, 2, 5, 3 }
  local mean, deviation = { 120.7, 100.1, 33.3 }, { 61.3, 7.9, 70 }

  -- The same with one step after the other and random.lua's generators.
  local function step_by_step(dtype, batch, i, flip, padding, size, seed, stream)
    local rng = random.generator(seed, stream + i)
    local image, other = empty(dtype, C, H, W), empty(dtype, C, H, W)
    core.image_normalize(image, batch:select(1, i), mean, deviation)
    if flip and rng:uniform(0, 1) < flip then
      core.image_flip(other, image)
      image = other
    end
    if not padding then return image end
    local left = rng:integer(W + 2 * padding - size[2] + 1) - 1 - padding
    local top = rng:integer(H + 2 * padding - size[1] + 1) - 1 - padding
    local crop = empty(dtype, C, size[1], size[2])
    core.image_crop(crop, image, top, left)
    return crop
  end

  for _, dtype in ipairs { "float", "double" } do
    for _, case in ipairs {
      { flip = nil, padding = nil, size = { H, W } },
      { flip = 0.5, padding = nil, size = { H, W } },
      { flip = nil, padding = 2, size = { H, W } },
      { flip = 0.5, padding = 2, size = { H, W } },
      { flip = 1, padding = 6, size = { 3, 2 } },
      { flip = 0.5, padding = 0, size = { 2, 7 } },
    } do
      it(("has the bits of its steps: %s, flip %s, padding %s"):format(dtype, case.flip, case.padding), function()
        local batch, out = images(), poisoned(dtype, 5, C, case.size[1], case.size[2])
        core.image_augment_batch(out, batch, tensor("long", order), 2, mean, deviation, 17, 5 << 32, case.flip,
          case.padding)
        for n = 1, 5 do
          local right = step_by_step(dtype, batch, order[n + 1], case.flip, case.padding, case.size, 17, 5 << 32)
          assert.same(right:totable(), out:select(1, n):totable())
        end
      end)
    end
  end

  it("refuses misuse and names the argument", function()
    local batch, out = images(), empty("float", 2, C, H, W)
    local long = tensor("long", order)
    local function refused(pattern, ...)
      assert.matches(pattern, select(2, pcall(core.image_augment_batch, ...)))
    end
    refused("#4", out, batch, long, 7, mean, deviation, 1, 1)
    refused("#4", out, batch, long, 0, mean, deviation, 1, 1)
    refused("#3.*image 7 of a batch of 6", out, batch, tensor("long", { 1, 7 }), 1, mean, deviation, 1, 1)
    refused("#3.*count from 1", out, batch, tensor("long", { 0, 1 }), 1, mean, deviation, 1, 1)
    refused("#3.*long", out, batch, tensor("double", order), 1, mean, deviation, 1, 1)
    refused("#2.*byte", out, compare.clone(batch, "float"), long, 1, mean, deviation, 1, 1)
    refused("#5.*has 1 numbers", out, batch, long, 1, { 1 }, { 1 }, 1, 1)
    refused("#6.*standard deviation %-1", out, batch, long, 1, mean, { 1, -1, 1 }, 1, 1)
    refused("#10.*padding", out, batch, long, 1, mean, deviation, 1, 1, 0.5, -1)
    refused("does not fit an image of 5x7 padded by 1", empty("float", 1, C, 8, 8), batch, long, 1, mean,
      deviation, 1, 1, 0.5, 1)
    refused("without a crop", empty("float", 1, C, 4, 7), batch, long, 1, mean, deviation, 1, 1, 0.5)
  end)
end)
