--- The image package on tensors: C,H,W or H,W of any range. Scaling, rotating and mirroring are those of
-- densenet.data.transforms, and what reads and writes files is densenet.image.

local argument = require "densenet.argument"
local constructors = require "densenet.constructors"
local core = require "densenet.core"
local pictures = require "densenet.image"

local image = {}

local function checkImage(position, name, picture)
  argument.tensor(position, name, picture, "image")
  if picture:dim() ~= 2 and picture:dim() ~= 3 then
    argument.refuse(position, name, picture, "an image C,H,W or H,W")
  end
end

-- A new image of height x width that operation(out, source) fills; in the type and dimensions of `picture`.
local function made(picture, height, width, operation)
  local isReal = picture:dtype() == "float" or picture:dtype() == "double"
  local source = (isReal and picture or core.tensor_new("cpu", "float", picture:size()):copy(picture)):contiguous()
  if picture:dim() == 2 then source = source:view(1, source:size(1), source:size(2)) end
  local out = core.tensor_new("cpu", source:dtype(), { source:size(1), height, width })
  operation(out, source)
  if picture:dim() == 2 then out = out:view(height, width) end
  if isReal then return out end
  local back = core.tensor_new("cpu", picture:dtype(), out:size())
  core.copy(back, out)
  return back
end

local function sizeOf(picture) return picture:size(picture:dim() - 1), picture:size(picture:dim()) end

--- Mirrored left to right. image.hflip(out, picture) writes into out.
function image.hflip(picture, source)
  if source ~= nil then return picture:resizeAs(source):copy(image.hflip(source)) end
  checkImage(1, "image.hflip", picture)
  local height, width = sizeOf(picture)
  return made(picture, height, width, function(out, from) core.image_flip(out, from) end)
end

--- Mirrored top to bottom.
function image.vflip(picture)
  checkImage(1, "image.vflip", picture)
  local height = sizeOf(picture)
  local rows = {}
  for i = 1, height do rows[i] = height + 1 - i end
  return picture:index(picture:dim() - 1, rows):contiguous()
end

local CORNERS = { tl = { 0, 0 }, tr = { 0, 1 }, bl = { 1, 0 }, br = { 1, 1 }, c = { 0.5, 0.5 } }

--- image.crop(picture, x1, y1, x2, y2): columns x1 to x2 - 1 and rows y1 to y2 - 1, counted from 0; or
-- image.crop(picture, place, width, height), the place being c, tl, tr, bl or br.
function image.crop(picture, x1, y1, x2, y2)
  checkImage(1, "image.crop", picture)
  local height, width = sizeOf(picture)
  if type(x1) == "string" then
    local corner = CORNERS[x1] or argument.refuse(2, "image.crop", x1, "c, tl, tr, bl or br")
    local w, h = argument.integer(3, "image.crop", y1, 1, "width"), argument.integer(4, "image.crop", x2, 1, "height")
    x1, y1 = math.floor((width - w) * corner[2]), math.floor((height - h) * corner[1])
    x2, y2 = x1 + w, y1 + h
  end
  local edges = { x1, y1, x2, y2 or argument.refuse(5, "image.crop", y2, "four edges") }
  for i = 1, 4 do edges[i] = math.floor(argument.number(i + 1, "image.crop", edges[i], "edge")) end
  x1, y1, x2, y2 = table.unpack(edges)
  if not (0 <= x1 and x1 < x2 and x2 <= width and 0 <= y1 and y1 < y2 and y2 <= height) then
    argument.raise("image.crop: columns %d to %d and rows %d to %d of an image of %dx%d", x1, x2, y1, y2, height, width)
  end
  return made(picture, y2 - y1, x2 - x1, function(out, from) core.image_crop(out, from, y1, x1) end)
end

-- Width and height that a text or a number stands for.
local function sizeFor(picture, size)
  local height, width = sizeOf(picture)
  if type(size) == "string" then
    local w, h = size:match("^(%d+)x(%d+)$")
    if w then return tonumber(w), tonumber(h) end
    local least = tonumber(size:match("^%^(%d+)$"))
    if not least then argument.refuse(2, "image.scale", size, "'WIDTHxHEIGHT', '^SMALLEST' or a number") end
    local factor = least / math.min(height, width)
    return width * factor, height * factor
  end
  local factor = argument.number(2, "image.scale", size, "size") / math.max(height, width)
  return width * factor, height * factor
end

--- image.scale(picture, width, height [, mode]), image.scale(picture, size [, mode]) (the longer edge, "WxH",
-- or "^n", the shorter edge), image.scale(out, picture [, mode]). mode is bilinear (the default) or bicubic.
function image.scale(picture, width, height, mode)
  if core.is_tensor(width) then
    local rows, columns = sizeOf(picture)
    return picture:copy(image.scale(width, columns, rows, height))
  end
  checkImage(1, "image.scale", picture)
  if type(height) ~= "number" then
    mode = height
    width, height = sizeFor(picture, width)
  end
  mode = mode or "bilinear"
  if mode ~= "bilinear" and mode ~= "bicubic" then argument.refuse(4, "image.scale", mode, "bilinear or bicubic") end
  width = math.floor(argument.number(2, "image.scale", width, "width"))
  height = math.floor(argument.number(3, "image.scale", height, "height"))
  if width < 1 or height < 1 then argument.raise("image.scale: to %dx%d; 1x1 or more expected", height, width) end
  return made(picture, height, width, function(out, from) core.image_resize(out, from, mode) end)
end

--- Turned about the middle by an angle in radians; zeros come from outside. Bilinear.
function image.rotate(picture, angle, mode)
  checkImage(1, "image.rotate", picture)
  argument.number(2, "image.rotate", angle, "angle")
  if mode ~= nil and mode ~= "bilinear" then argument.refuse(3, "image.rotate", mode, "bilinear", "mode") end
  local height, width = sizeOf(picture)
  return made(picture, height, width, function(out, from) core.image_rotate(out, from, angle) end)
end

--- image.load(path [, depth [, type]]): a tensor C,H,W of a JPEG, PNG, BMP, PPM or PGM file, whatever its name.
-- Raises what cannot be read.
-- @param path the file
-- @param depth channels, 1 or 3; without it 1 where the file is grey, else 3: transparency is left out
-- @param kind "float" or "double", 0 to 1, or "byte", 0 to 255; the default type of tensors when left out
function image.load(path, depth, kind)
  argument.string(1, "image.load", path, "path")
  if depth ~= nil and depth ~= 1 and depth ~= 3 then argument.refuse(2, "image.load", depth, "1 or 3", "depth") end
  kind = kind or constructors.getDefaultType()
  if kind ~= "float" and kind ~= "double" and kind ~= "byte" then
    argument.refuse(3, "image.load", kind, "float, double or byte", "type")
  end
  local bytes, message = pictures.load(path, { channels = depth or "own" })
  if not bytes then argument.raise("%s", message) end
  if kind == "byte" then return bytes end
  local picture = core.tensor_new("cpu", kind, bytes:size())
  core.copy(picture, bytes)
  return picture:div(255)
end

--- image.save(path, picture): .png, .ppm or .pgm; byte, or 0 to 1. Raises what cannot be written.
function image.save(path, picture)
  checkImage(2, "image.save", picture)
  if picture:dim() == 2 then picture = picture:contiguous():view(1, picture:size(1), picture:size(2)) end
  if picture:dtype() ~= "byte" then
    local float = core.tensor_new("cpu", "float", picture:size())
    core.copy(float, picture)
    picture = float
  end
  local ok, message = pictures.save(path, picture)
  if not ok then argument.raise("%s", message) end
end

for _, format in ipairs { "PNG", "JPG", "PPM", "PGM" } do image["load" .. format] = image.load end
for _, format in ipairs { "PNG", "PPM", "PGM" } do image["save" .. format] = image.save end

for _, name in ipairs { "decompress", "decompressJPG", "decompressPNG", "compressJPG", "saveJPG", "display" } do
  image[name] = function()
    argument.raise("image.%s: densenet writes no JPEG, reads pictures from files only, and shows none", name)
  end
end

return argument.closed(image, "image")
