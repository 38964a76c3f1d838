-- Images from files, against the arrays that Pillow makes of the same files (spec/golden/images: 66 files,
-- each with its array in expected.safetensors or with a word for its error in expected.json).
local dn = require "densenet"
local compare = require "spec.support.compare"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local DIRECTORY = "spec/golden/images/"
local expected = assert(dn.json.decode(temporary.read(DIRECTORY .. "expected.json")))
local arrays -- by file

-- Formats that this build lacks the library for, by the build's own words.
local function isMissing(name)
  local _, _, code = dn.image.load(DIRECTORY .. name)
  return code == "unsupported"
end
local lacks = { JPEG = isMissing "baseline_444.jpg", PNG = isMissing "rgb8.png" }

local function formatOf(name) return core.image_format(temporary.read(DIRECTORY .. name)) end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function bytesOf(tensor)
  local path = os.tmpname()
  assert(core.file_write(path, table.concat(tensor:size(), "x") .. "\n", { tensor }))
  local bytes = temporary.read(path)
  os.remove(path)
  return bytes
end

-- A BMP file's headers.
local function bitmap(pixelsAt, headerBytes, width, height, bits, compression, colours)
  return "BM" .. string.pack("<I4I4I4I4i4i4I2I2I4I4I4I4I4I4", 0, 0, pixelsAt, headerBytes, width, height, 1, bits,
    compression, 0, 0, 0, colours, 0)
end

-- The sentence's words for what expected.json calls the error.
local WORDS = {
  truncated = { "cut short" }, damaged = { "damaged" },
  unsupported = { "unsupported", "; JPEG, PNG, BMP and PPM are read" },
  ["too large"] = { "too large: %d+x%d+ pixels" }, empty = { "is empty" }, ["not an image"] = { "is an HTML page" },
}
-- Both are so to whoever reads them: a file of fill bytes ends too early, too few rows are damage.
local OTHER_WORDS = { ["soi_only_ff.jpg"] = "cut short", ["short_idat.png"] = "damaged" }

describe("an image file", function()
  setup(function() arrays = assert(dn.safetensors.load(DIRECTORY .. "expected.safetensors")) end)
  teardown(function() arrays = nil end)

  for _, name in ipairs(sorted(expected.good)) do
    it("gives Pillow's bytes: " .. name, function()
      if lacks[formatOf(name)] then return pending("no " .. formatOf(name) .. " in this build") end
      local image = assert(dn.image.load(DIRECTORY .. name))
      assert.equal("byte", image:dtype())
      assert.is_true(bytesOf(image) == bytesOf(arrays[name]))
      local content = assert(dn.image.decode(temporary.read(DIRECTORY .. name)))
      assert.is_true(bytesOf(content) == bytesOf(arrays[name]))
    end)
  end

  for _, name in ipairs(sorted(expected.bad)) do
    local kind = expected.bad[name].error
    it(("is refused or read (%s): %s"):format(kind, name), function()
      if lacks[formatOf(name)] then return pending("no " .. formatOf(name) .. " in this build") end
      collectgarbage()
      local before = core.memory("cpu")
      core.memory_limit("cpu", before.live + (1 << 20)) -- whatever the header says
      local image, message, code = dn.image.load(DIRECTORY .. name)
      core.memory_limit("cpu", 0)
      if kind:find "^none" then
        return assert.is_true(bytesOf(assert(image, message)) == bytesOf(arrays[name]))
      end
      assert.is_nil(image)
      assert.equal("format", code)
      assert.equal(DIRECTORY .. name .. ":", message:sub(1, #DIRECTORY + #name + 1))
      local isSaid = OTHER_WORDS[name] and message:find(OTHER_WORDS[name])
      for _, words in ipairs(WORDS[kind]) do isSaid = isSaid or message:find(words) end
      assert.is_truthy(isSaid, message)
      assert.equal(before.live, core.memory("cpu").live)
    end)
  end

  it("is called by what it is where it is no image that is read", function()
    local directory = temporary.directory()
    local function said(pattern, content)
      local _, message = dn.image.load(temporary.write(directory .. "/a.jpg", content))
      assert.matches("/a%.jpg: " .. pattern, message)
    end
    said("is a GIF image; JPEG, PNG, BMP and PPM are read$", "GIF89a......")
    said("is a TIFF image; JPEG", "II*\0\8\0\0\0")
    said("is a Git LFS pointer", "version https://example.org/v1\noid sha256:01\n")
    said("is not an image that is known; JPEG", "\1\2\3")
    said("is a Netpbm image %(PPM, PGM or PBM%); JPEG", "P4 8 8 xxxxxxxx")
    said("is empty$", "")
    local image, text, code = dn.image.load(directory .. "/missing.jpg")
    assert.same({ nil, "io" }, { image, code })
    assert.matches("cannot read .*/missing%.jpg", text)
    assert.equal("io", select(3, dn.image.load(directory)))
    temporary.remove(directory)
  end)

  it("is refused where its header lies about its size, before there is memory for it", function()
    local directory = temporary.directory()
    core.memory_limit("cpu", core.memory("cpu").live + (1 << 20))
    local function refused(pattern, content)
      local image, message, code = dn.image.load(temporary.write(directory .. "/a", content))
      assert.is_nil(image)
      assert.equal("format", code, message)
      assert.matches(pattern, message)
    end
    refused("cut short", "P6 13000 13000 255 " .. ("x"):rep(1000))
    refused("cut short", "P3 13000 13000 255 1 2 3")
    refused("cut short", bitmap(54, 40, 13000, 13000, 24, 0, 0))
    if not lacks.PNG then
      local ihdr = "IHDR" .. string.pack(">I4I4", 13000, 13000) .. "\8\2\0\0\0"
      refused("cut short", "\x89PNG\r\n\x1a\n\0\0\0\13" .. ihdr .. "\0\0\0\0\0\0\0\0IDAT")
    end
    if not lacks.JPEG then
      local content = temporary.read(DIRECTORY .. "baseline_420_odd.jpg")
      local at = assert(content:find("\xff\xc0", 1, true))
      refused("cut short", content:sub(1, at + 4) .. string.pack(">I2I2", 13000, 13000) .. content:sub(at + 9))
    end
    core.memory_limit("cpu", 0)
    temporary.remove(directory)
  end)

  it("of other BMP and PPM kinds, or with values that are none, is refused", function()
    local function said(pattern, content)
      local image, message = dn.image.decode(content, { name = "a" })
      assert.is_nil(image)
      assert.matches(pattern, message)
    end
    local function bmp(bits, compression, colours, tail)
      return bitmap(54 + 4 * colours, 40, 1, 1, bits, compression, colours) .. tail
    end
    said("a: unsupported BMP image %(bits a pixel: 4%)", bmp(4, 0, 0, "    "))
    said("a: unsupported BMP image %(compression 1%)", bmp(8, 1, 0, "    "))
    said("a: unsupported BMP image %(with other masks", bmp(32, 3, 0, ("x"):rep(16)))
    said("a: damaged BMP image %(a pixel of a colour that its palette lacks: 2%)", bmp(8, 0, 2, "rgb.RGB.\2\0\0\0"))
    assert.same({ { { 82 } }, { { 71 } }, { { 66 } } }, dn.image.decode(bmp(8, 0, 2, "bgr.BGR.\1\0\0\0")):totable())
    said("a: unsupported PPM image %(largest value 65535%)", "P5 1 1 65535 xx")
    said("a: damaged PPM image %(a value 11, and the largest should be 10%)", "P2 1 1 10 11")
    said("a: damaged PPM image %(a value 120", "P5 1 1 100 x")
    said("a: damaged: an image of 0x1 pixels", "P5 0 1 255 x")
  end)

  it("of OS/2's BMP, and with the usual masks, is read", function()
    local os2 = "BM" .. string.pack("<I4I4I4I4I2I2I2I2", 0, 0, 26, 12, 1, 1, 1, 24) .. "bgr "
    assert.same({ { { 114 } }, { { 103 } }, { { 98 } } }, dn.image.decode(os2):totable())
    local masked = bitmap(66, 40, 1, -1, 32, 3, 0) .. string.pack("<I4I4I4", 0xff0000, 0xff00, 0xff) .. "bgr "
    assert.same({ { { 114 } }, { { 103 } }, { { 98 } } }, dn.image.decode(masked):totable())
  end)

  it("is read in grey by PIL's rule, and as float from 0 to 1", function()
    local colours = assert(dn.image.load(DIRECTORY .. "rgb.ppm"))
    local grey = assert(dn.image.load(DIRECTORY .. "rgb.ppm", { channels = 1 }))
    assert.same({ 1, colours:size(2), colours:size(3) }, grey:size())
    local rows, right = colours:totable(), {}
    for y = 1, colours:size(2) do
      right[y] = {}
      for x = 1, colours:size(3) do
        right[y][x] = (19595 * rows[1][y][x] + 38470 * rows[2][y][x] + 7471 * rows[3][y][x] + 32768) >> 16
      end
    end
    assert.same({ right }, grey:totable())
    local float = assert(dn.image.load(DIRECTORY .. "rgb.ppm", { type = "float" }))
    assert.equal("float", float:dtype())
    compare.near(float, compare.clone(colours, "float"):div(255), 0, "a 255th")
    for name, channels in pairs { ["rgb.ppm"] = 3, ["gray.pgm"] = 1, ["palette8.bmp"] = 3 } do
      assert.equal(channels, dn.image.load(DIRECTORY .. name, { channels = "own" }):size(1))
    end
    local OWN = { ["gray.jpg"] = 1, ["baseline_444.jpg"] = 3, ["gray_alpha8.png"] = 1, ["palette4.png"] = 3 }
    for name, channels in pairs(OWN) do
      local own, _, code = dn.image.load(DIRECTORY .. name, { channels = "own" })
      assert.is_true(code == "unsupported" or own:size(1) == channels)
    end
    local pgm = assert(dn.image.load(DIRECTORY .. "gray.pgm", { channels = 1 }))
    assert.is_true(bytesOf(pgm:select(1, 1)) == bytesOf(arrays["gray.pgm"]:select(1, 1)))
  end)

  it("is read by several threads at the same time", function()
    if lacks.JPEG or lacks.PNG then return pending("no JPEG or no PNG in this build") end
    local pool <close> = core.worker_pool(4, [[
      local core = require "densenet.core"
      return function(path) return core.image_read(path) end]])
    local names = sorted(expected.good)
    for _, name in ipairs(sorted(expected.bad)) do names[#names + 1] = name end
    for turn = 0, 4 do
      for i, name in ipairs(names) do pool:submit(turn * #names + i, DIRECTORY .. name) end
    end
    for _ = 1, 5 * #names do
      local id, ok, image, message = pool:receive()
      local name = names[(id - 1) % #names + 1]
      assert.is_true(ok, image)
      if arrays[name] then
        assert.is_true(bytesOf(image) == bytesOf(arrays[name]), name)
      else
        assert.matches(name, message, 1, true) -- its own sentence, not another thread's
      end
    end
  end)

  it("leaves nothing behind where memory runs out", function()
    local files = { "rgb.ppm", "rgb24.bmp" }
    if not lacks.JPEG then files[#files + 1] = "progressive_420.jpg" end
    if not lacks.PNG then files[#files + 1] = "rgb8_interlaced.png" end
    for _, name in ipairs(files) do
      collectgarbage()
      local before = core.memory("cpu").blocks
      for room = 1000, 20000, 1000 do
        core.memory_limit("cpu", core.memory("cpu").live + room)
        local ok, image = pcall(dn.image.load, DIRECTORY .. name)
        core.memory_limit("cpu", 0)
        if ok then image:free() else assert.matches("out of memory", image) end
      end
      assert.equal(before, core.memory("cpu").blocks, name)
    end
  end)
end)

describe("image.save", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function noise(channels, height, width)
    local numbers = core.tensor_new("cpu", "float", { channels, height, width })
    core.random_uniform(numbers, 0, 256, 7, 0, 0)
    return compare.clone(numbers, "byte")
  end

  it("keeps every byte of an image, also of a view, and every 255th of floats", function()
    for _, ending in ipairs { "png", "ppm", "PNG" } do
      if not (lacks.PNG and ending:lower() == "png") then
        for _, size in ipairs { { 1, 1 }, { 43, 61 }, { 200, 3 }, { 3, 500 } } do
          local image, path = noise(3, size[1], size[2]), directory .. "/a." .. ending
          assert.is_true(dn.image.save(path, image))
          assert.is_true(bytesOf(assert(dn.image.load(path))) == bytesOf(image))
          assert.is_true(dn.image.save(path, image:type("float"):div(255)))
          assert.is_true(bytesOf(assert(dn.image.load(path))) == bytesOf(image))
        end
        local image, path = noise(3, 9, 9), directory .. "/b." .. ending
        assert.is_true(dn.image.save(path, image:transpose(2, 3)))
        assert.same(image:transpose(2, 3):totable(), dn.image.load(path):totable())
        assert.is_true(dn.image.save(path, image:narrow(3, 2, 4)))
        assert.same(image:narrow(3, 2, 4):totable(), dn.image.load(path):totable())
      end
    end
    for _, ending in ipairs { "png", "pgm" } do
      if not (lacks.PNG and ending == "png") then
        local image, path = noise(1, 12, 7), directory .. "/c." .. ending
        assert.is_true(dn.image.save(path, image))
        assert.same(image:totable(), dn.image.load(path, { channels = 1 }):totable())
      end
    end
  end)

  it("takes what is outside 0 to 1 as the nearer end", function()
    local path = directory .. "/a.ppm"
    local image = core.tensor_from("cpu", "float", { { { -1, 0.5 } }, { { 2, 0 } }, { { 1, 1e9 } } })
    assert.is_true(dn.image.save(path, image))
    assert.same({ { { 0, 128 } }, { { 255, 0 } }, { { 255, 255 } } }, dn.image.load(path):totable())
  end)

  it("refuses other formats and tensors, and says what the file system refuses", function()
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(dn.image.save, ...))) end
    local image = noise(3, 2, 2)
    refused("#1.*ends in %.png, %.ppm or %.pgm expected, got 'a%.jpg'", "a.jpg", image)
    refused("#2.*a tensor expected, got a table", "a.png", {})
    refused("#2.*tensor C,H,W on cpu expected, got a byte tensor of size 2x2", "a.png", image:select(1, 1))
    refused("#2.*1 or 3 channels for a%.png", "a.png", noise(2, 2, 2))
    refused("#2.*3 channels for a%.ppm", "a.ppm", noise(1, 2, 2))
    refused("#2.*1 channel for a%.pgm", "a.pgm", image)
    local ok, message, code = dn.image.save(directory .. "/missing/a.ppm", image)
    assert.same({ nil, "io" }, { ok, code })
    assert.matches("cannot write .*/missing/a%.ppm", message)
  end)
end)

describe("image.load", function()
  it("refuses wrong options with their names", function()
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(dn.image.load, ...))) end
    refused("#1.*a string expected, got 3", 3)
    refused("#2.*there is no chanels; did you mean 'channels'", "a.png", { chanels = 1 })
    refused("#2.*channels: 1, 3 or 'own' expected, got 4", "a.png", { channels = 4 })
    refused("#2.*type: byte or float expected, got 'double'", "a.png", { type = "double" })
    local _, message = pcall(function() return dn.image.scal end)
    assert.matches("there is no dn%.image%.scal; did you mean 'scale'", message)
  end)
end)

describe("image.crop and image.flip", function()
  local picture
  setup(function() picture = core.tensor_from("cpu", "byte", { { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } } }) end)
  teardown(function() picture = nil end)

  it("take rectangles by their first pixel, or from the middle", function()
    assert.same({ { { 5 } } }, dn.image.crop(picture, 1):totable())
    assert.same({ { { 5, 6 }, { 8, 9 } } }, dn.image.crop(picture, 2):totable()) -- rounded up
    assert.same({ { { 4, 5, 6 } } }, dn.image.crop(picture, { 1, 3 }):totable())
    assert.same({ { { 7, 8 } } }, dn.image.crop(picture, { 1, 2 }, 3, 1):totable())
    assert.same({ { { 3, 2, 1 }, { 6, 5, 4 }, { 9, 8, 7 } } }, dn.image.flip(picture):totable())
    assert.same({ { { 7, 4, 1 }, { 8, 5, 2 }, { 9, 6, 3 } } }, dn.image.flip(picture:transpose(2, 3)):totable())
  end)

  it("refuse what reaches outside", function()
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(dn.image.crop, ...))) end
    refused("#2.*at most 3x3, the image's, expected, got 4x4", picture, 4)
    refused("#3.*at most 2 expected, got 3", picture, 2, 3, 1)
    refused("#4.*left: an integer of 1 or more expected, got nil", picture, 2, 1)
    refused("#3.*top: an integer of 1 or more expected, got 0", picture, 2, 0, 1)
  end)
end)

describe("image.scale", function()
  it("of bytes gives Pillow's bytes, small, large and over hard edges", function()
    local scaled = assert(dn.safetensors.load(DIRECTORY .. "scaled.safetensors"))
    for _, size in ipairs { { 10, 12 }, { 13, 17 }, { 40, 48 } } do
      local image = dn.image.scale(scaled["edge/source"], size, "bicubic")
      assert.is_true(bytesOf(image) == bytesOf(scaled[("edge/bicubic_%dx%d"):format(size[1], size[2])]))
    end
    if lacks.JPEG then return pending("no JPEG in this build") end
    local cat = assert(dn.image.load(DIRECTORY .. "cat_359x270.jpg"))
    for _, filter in ipairs { "bilinear", "bicubic" } do
      assert.is_true(bytesOf(dn.image.scale(cat, 48, filter)) == bytesOf(scaled["cat/scale48_" .. filter]))
    end
    assert.is_true(bytesOf(dn.image.scale(cat, 48)) == bytesOf(scaled["cat/scale48_bilinear"]))
    local large = dn.image.scale(dn.image.crop(cat, { 24, 32 }, 101, 101), { 48, 64 }, "bicubic")
    assert.is_true(bytesOf(large) == bytesOf(scaled["cat/upscale_2x_bicubic_crop"]))
  end)

  it("of float rounds and clips nothing", function()
    local image = core.tensor_from("cpu", "float", { { { 0, 0, 1, 1 } } })
    local out = dn.image.scale(image, { 1, 8 }, "bicubic")
    assert.is_true(out:min() < -0.01 and out:max() > 1.01)
  end)

  it("keeps proportions, rounded down, and refuses what is no size", function()
    local image = core.tensor_new("cpu", "byte", { 1, 30, 41 })
    core.fill(image, 9)
    assert.same({ 1, 7, 9 }, dn.image.scale(image, 7):size())
    assert.same({ 1, 9, 7 }, dn.image.scale(image:transpose(2, 3), 7):size())
    assert.same({ 1, 2, 3 }, dn.image.scale(image, { 2, 3 }):size())
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(dn.image.scale, ...))) end
    refused("#2.*size: an integer of 1 or more expected, got 0", image, 0)
    refused("#2.*width: an integer of 1 or more expected, got nil", image, { 3 })
    refused("#3.*filter: bilinear or bicubic expected, got 'nearest'", image, 3, "nearest")
    refused("#1.*a byte or float tensor C,H,W on cpu expected, got a byte tensor of size 30x41", image:select(1, 1), 3)
  end)
end)
