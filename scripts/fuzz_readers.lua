--- What fuzz.lua feeds: one row for each reader of foreign bytes.
--
--    name     of the reader, on the command line
--    seeds    patterns of files, from the checkout's root, whose damaged copies it reads
--    make     (optional) function() → a list of further contents
--    repair   (optional) function(content) → the same with its checksums right, half of the times
--    read     function(content, path) → anything; or nil, message, code. `path` is a function that puts the content
--             into a file and gives its name. What it raises is a finding
local core = require "densenet.core"
local dn = require "densenet"
local formats = require "densenet.models.formats"

local MEAN, STD = { 120, 120, 120 }, { 60, 60, 60 }

local function image(content) return dn.image.decode(content, { name = "image" }) end

-- JPEGs as training with -fastDecode reads them: cut, made smaller in the decoder, changed in colour.
local loadReduced
local function reduced(_, path)
  local transforms = dn.data.transforms
  loadReduced = loadReduced or require "densenet.data.image_steps"(transforms.Compose {
    transforms.RandomSizedCrop(9), transforms.ColorJitter { contrast = 0.4, saturation = 0.4 },
    transforms.ColorNormalize { mean = MEAN, std = STD }, transforms.HorizontalFlip() }, 3, true)
  return loadReduced(core.tensor_new("cpu", "float", { 1, 3, 9, 9 }), 1, path(), 1, 1)
end

-- The checksums of PNG's chunks.
local crcs
local function crc32(bytes)
  if not crcs then
    crcs = {}
    for i = 0, 255 do
      local c = i
      for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ c >> 1 or c >> 1 end
      crcs[i] = c
    end
  end
  local crc = 0xffffffff
  for i = 1, #bytes do crc = crcs[(crc ~ bytes:byte(i)) & 0xff] ~ crc >> 8 end
  return crc ~ 0xffffffff
end

local function repairPng(content)
  local parts, at = { content:sub(1, 8) }, 9
  while at + 11 <= #content do
    local n = string.unpack(">I4", content, at)
    if at + 11 + n > #content then break end
    local chunk = content:sub(at + 4, at + 7 + n)
    parts[#parts + 1] = content:sub(at, at + 3) .. chunk .. string.pack(">I4", crc32(chunk))
    at = at + 12 + n
  end
  return table.concat(parts) .. content:sub(at)
end

local function gzipped(content)
  local name = os.tmpname()
  assert(core.file_write(name, content, {}))
  local pipe = assert(io.popen("gzip -nc " .. name))
  local packed = pipe:read("a")
  pipe:close()
  os.remove(name)
  return packed
end

local function idxFiles()
  local pixels = {}
  for i = 1, 3 * 28 * 28 do pixels[i] = string.char(i * i % 251) end
  local images = string.pack(">I4I4I4I4", 0x803, 3, 28, 28) .. table.concat(pixels)
  local labels = string.pack(">I4I4", 0x801, 9) .. "\0\1\2\3\4\5\6\7\8"
  return { images, labels, gzipped(images), gzipped(labels), gzipped(images:sub(1, 900)) .. gzipped(images:sub(901)) }
end

local function idx(_, path)
  local load = require "densenet.data.idx".load
  local name = path()
  local images, message, code = load(name, 3)
  if images then return images end
  if not load(name, 1) then return nil, message, code end
  return true
end

local function mat(_, path) return core.mat_read_digits(path()) end

local function safetensors(_, path) return dn.safetensors.load(path()) end

local function safetensorsFiles()
  local function file(header, n) return string.pack("<s8", header) .. ("x"):rep(n) end
  return {
    file('{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[5],"data_offsets":'
      .. '[24,29]},"__metadata__":{"format":"pt","n":"1"}}', 29),
    file('{"h":{"dtype":"F16","shape":[],"data_offsets":[0,2]},"i":{"dtype":"I64","shape":[1,1],"data_offsets":'
      .. '[2,10]},"e":{"dtype":"BF16","shape":[0,4],"data_offsets":[10,10]}}', 10),
  }
end

local function jsonTexts()
  return { '{"a": [1, -2.5e-3, true, false, null, "\\u00e9\\ud83d\\ude00\\n", {}], "b": {"c": []}}',
    '[[[[[[0.1, 1e300, 123456789012345678]]]]]]', '"text with \\"quotes\\" and \xc3\xa9"' }
end

-- Files of networks: what is in them, and then the network.
local function network(format)
  return function(_, path)
    local name = path()
    local value, message, code = dn.io[format].load(name)
    if value == nil then return nil, message, code end
    return formats.read(name)
  end
end

local IMAGES = "spec/golden/images/*"

return {
  { name = "jpeg", seeds = { IMAGES .. ".jpg", IMAGES .. ".JPG" }, read = image },
  { name = "jpeg-reduced", seeds = { IMAGES .. ".jpg" }, read = reduced },
  { name = "png", seeds = { IMAGES .. ".png" }, read = image, repair = repairPng },
  { name = "bmp", seeds = { IMAGES .. ".bmp" }, read = image },
  { name = "ppm", seeds = { IMAGES .. ".ppm", IMAGES .. ".pgm" }, read = image },
  { name = "idx", seeds = {}, make = idxFiles, read = idx },
  { name = "mat", seeds = { "spec/golden/mat/*.mat" }, read = mat },
  { name = "safetensors", seeds = { "spec/golden/radam.safetensors", "spec/golden/images/scaled.safetensors" },
    make = safetensorsFiles, read = safetensors },
  { name = "json", seeds = { "spec/golden/images/expected.json" }, make = jsonTexts,
    read = function(content) return dn.json.decode(content) end },
  { name = "t7", seeds = { "spec/golden/t7/*.t7" }, read = network "t7" },
  { name = "pth", seeds = { "spec/golden/pth/*.pth" }, read = network "pth" },
  { name = "onnx", seeds = { "spec/golden/onnx/*.onnx" }, read = network "onnx" },
}
