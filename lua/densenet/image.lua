--- Images and their files, as dn.image: JPEG, PNG, BMP, PPM and PGM in, PNG, PPM and PGM out.
--
--    local photo, message = dn.image.load("cat.jpg")
--    if not photo then error(message) end
--    photo = dn.image.crop(dn.image.scale(photo, 256), 224)
--    assert(dn.image.save("small.png", photo))
--
-- An image is a tensor C,H,W on the CPU: byte, 0 to 255, or float, 0 to 1. A file's format is known by
-- its content. What a picture holds beside its colours is passed over (src/dn_image_read.h): alpha is
-- dropped, profiles and the camera's orientation change nothing.
local argument = require "densenet.argument"
local core = require "densenet.core"
local fileKind = require "densenet.io.file_kind"
local oneThread = require "densenet.one_thread"
require "densenet.tensor"

local image = {}

local READ = "JPEG, PNG, BMP and PPM are read"
local WRITTEN = { png = "PNG", ppm = "PPM", pgm = "PPM" }
local START_BYTES = 512

-- ---- Reading ----

local CHANNELS = { [1] = 1, [3] = 3, own = 0 } -- and what core calls them
local OPTIONS = { channels = true, type = true, name = true }

local function checkOptions(position, name, options)
  if options == nil then return {} end
  argument.table(position, name, options, "options")
  for key in pairs(options) do
    if not OPTIONS[key] then
      argument.raise("bad argument #%d to '%s' (options: there is no %s%s)", position, name, tostring(key),
        argument.nearest(tostring(key), OPTIONS))
    end
  end
  local channels, dtype = options.channels, options.type
  if channels ~= nil and not CHANNELS[channels] then
    argument.refuse(position, name, channels, "1, 3 or 'own'", "channels")
  end
  if dtype ~= nil and dtype ~= "byte" and dtype ~= "float" then
    argument.refuse(position, name, dtype, "byte or float", "type")
  end
  return options
end

-- What is no image of ours at all is called by its kind.
local function explained(name, start, message, code)
  if code == "format" and start and start ~= "" and not core.image_format(start) then
    local kind = fileKind.of(start)
    if kind then message = ("%s: is %s; %s"):format(name, kind, READ) end
  end
  return nil, message, code
end

local function finished(bytes, options)
  local alone <close> = oneThread() -- luacheck: ignore 211
  return options.type == "float" and bytes:type("float"):div(255) or bytes
end

--- Reads an image file.
-- @param path the file
-- @param options table (optional):
--   channels  3 (the default): red, green and blue, all three the same where the file is grey;
--             1: grey, (19595 R + 38470 G + 7471 B + 32768) / 65536 of colours;
--             "own": 1 where the file is grey, else 3
--   type      "byte" (the default), 0 to 255, or "float", 0 to 1
-- @return tensor channels,H,W; or nil, message (which names the file), code: "format" for what is no
-- image, damaged, cut short, or has more than 178,956,970 pixels; "unsupported" where this build lacks the
-- format's library; "io"
function image.load(path, options)
  argument.string(1, "image.load", path, "path")
  options = checkOptions(2, "image.load", options)
  local bytes, message, code = core.image_read(path, CHANNELS[options.channels or 3])
  if bytes then return finished(bytes, options) end
  local size = core.file_size(path)
  return explained(path, size and core.file_read(path, 0, math.min(size, START_BYTES)), message, code)
end

--- The same of a file's content.
-- @param content string
-- @param options as for image.load, and `name`, which messages call it ("image" by default)
function image.decode(content, options)
  argument.string(1, "image.decode", content, "content")
  options = checkOptions(2, "image.decode", options)
  local name = options.name == nil and "image" or argument.string(2, "image.decode", options.name, "name")
  local bytes, message, code = core.image_decode(content, name, CHANNELS[options.channels or 3])
  if bytes then return finished(bytes, options) end
  return explained(name, content:sub(1, START_BYTES), message, code)
end

-- ---- Writing ----

local function checkImage(position, name, value)
  argument.tensor(position, name, value, "image")
  local dtype = value:dtype()
  if value:dim() ~= 3 or dtype ~= "byte" and dtype ~= "float" or value:device() ~= "cpu" then
    argument.refuse(position, name, value, "a byte or float tensor C,H,W on cpu", "image")
  end
  return value
end

-- Core's functions read rows that are whole.
local function whole(picture) return picture:isContiguous() and picture or picture:contiguous() end

--- Writes an image, and keeps every bit of a byte image.
-- @param path the file; its name ends in .png, .ppm or .pgm, which is its format
-- @param picture tensor C,H,W of 1 or 3 channels: byte, or float, of which 0 to 1 is written as 0 to 255,
-- rounded, and what is outside as the nearer end
-- @return true; or nil, message, code: "io", "unsupported" for PNG where this build lacks libpng
function image.save(path, picture)
  argument.string(1, "image.save", path, "path")
  local format = WRITTEN[(path:match("%.(%w+)$") or ""):lower()]
  if not format then argument.refuse(1, "image.save", path, "a name that ends in .png, .ppm or .pgm", "path") end
  checkImage(2, "image.save", picture)
  local channels = picture:size(1)
  local wanted = path:lower():find("%.pgm$") and 1 or path:lower():find("%.ppm$") and 3
  if wanted and channels ~= wanted or channels ~= 1 and channels ~= 3 then
    argument.refuse(2, "image.save", picture, ("an image of %s for %s"):format(
      wanted == 1 and "1 channel" or wanted == 3 and "3 channels" or "1 or 3 channels", path), "image")
  end
  local alone <close> = oneThread() -- luacheck: ignore 211
  if picture:dtype() == "float" then picture = (picture * 255):round():clamp(0, 255):type("byte") end
  return core.image_write(path, whole(picture), format)
end

-- ---- Sizes ----

local function sizes(position, name, size, like)
  if type(size) == "table" then
    return argument.integer(position, name, size[1], 1, "height"), argument.integer(position, name, size[2], 1, "width")
  end
  local edge = argument.integer(position, name, size, 1, "size")
  if not like then return edge, edge end
  local height, width = like:size(2), like:size(3)
  if width < height then return height * edge // width, edge end
  return edge, width * edge // height
end

--- A new image of another size.
-- @param picture tensor C,H,W; of byte the numbers are those of PIL's resize, and of float, which is neither
-- rounded nor clipped, those of PyTorch's interpolate with antialias = true
-- @param size the smaller edge's, the other in proportion (rounded down), or { height, width }
-- @param filter "bilinear" (the default) or "bicubic"
function image.scale(picture, size, filter)
  checkImage(1, "image.scale", picture)
  local height, width = sizes(2, "image.scale", size, picture)
  if filter ~= nil and filter ~= "bilinear" and filter ~= "bicubic" then
    argument.refuse(3, "image.scale", filter, "bilinear or bicubic", "filter")
  end
  local out = core.tensor_new("cpu", picture:dtype(), { picture:size(1), height, width })
  core.image_resize(out, whole(picture), filter or "bilinear")
  return out
end

--- A new image, a rectangle of another one.
-- @param picture tensor C,H,W
-- @param size of a square, or { height, width }
-- @param top its first row, from 1; it is in the middle when `top` and `left` are left out, which is rounded up
-- where that lies between two pixels, as fb.resnet.torch does
-- @param left its first column, from 1
function image.crop(picture, size, top, left)
  checkImage(1, "image.crop", picture)
  local height, width = sizes(2, "image.crop", size)
  local downMost, rightMost = picture:size(2) - height + 1, picture:size(3) - width + 1
  if downMost < 1 or rightMost < 1 then
    argument.raise("bad argument #2 to 'image.crop' (size: at most %dx%d, the image's, expected, got %dx%d)",
      picture:size(2), picture:size(3), height, width)
  end
  if top == nil and left == nil then top, left = downMost // 2 + 1, rightMost // 2 + 1 end
  top = argument.integer(3, "image.crop", top, 1, "top")
  left = argument.integer(4, "image.crop", left, 1, "left")
  if top > downMost then argument.refuse(3, "image.crop", top, ("at most %d"):format(downMost), "top") end
  if left > rightMost then argument.refuse(4, "image.crop", left, ("at most %d"):format(rightMost), "left") end
  local out = core.tensor_new("cpu", picture:dtype(), { picture:size(1), height, width })
  core.image_crop(out, whole(picture), top - 1, left - 1)
  return out
end

--- A new image, mirrored left and right.
function image.flip(picture)
  checkImage(1, "image.flip", picture)
  local out = core.tensor_new("cpu", picture:dtype(), picture:size())
  core.image_flip(out, whole(picture))
  return out
end

return argument.closed(image, "dn.image")
