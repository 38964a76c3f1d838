--- Every reader of files, and what damages its files: a right file is changed at random, some thousand
-- times, and read. A reader then gives a value or a sentence with the file's name, and never raises.
local core = require "densenet.core"
local cifar = require "densenet.data.cifar"
local formats = require "densenet.models.formats"
local idx = require "densenet.data.idx"
local image = require "densenet.image"
local json = require "densenet.io.json"
local Log = require "densenet.train.log"
local mnist = require "densenet.data.mnist"
local onnx = require "densenet.io.onnx"
local pth = require "densenet.io.pth"
local safetensors = require "densenet.io.safetensors"
local t7 = require "densenet.io.t7"
local temporary = require "spec.support.temporary"

local damagedFiles = {}

-- What headers are made of, to be swapped in.
local PIECES = {
  "0", "9", "-1", "1e9", "99999999999999999999", "[", "]", "{", "}", ",", '"', "null", "F32", "I8", "\0", "\xff",
  "\0\0\0\1", "\xff\xff\xff\xff", "\t", "\n",
}

--- One to four random changes: bytes set, bits turned, pieces cut out, doubled or swapped, the end lost.
function damagedFiles.mutate(text)
  for _ = 1, math.random(4) do
    local at = math.random(#text)
    local past = math.min(#text, at + math.random(8))
    local kind = math.random(6)
    local before, after = text:sub(1, at - 1), text:sub(at + 1)
    if kind == 1 then text = before .. string.char(math.random(0, 255)) .. after
    elseif kind == 2 then text = before .. string.char(text:byte(at) ~ (1 << math.random(0, 7))) .. after
    elseif kind == 3 then text = before .. text:sub(past)
    elseif kind == 4 then text = text:sub(1, past) .. text:sub(at)
    elseif kind == 5 then text = before .. PIECES[math.random(#PIECES)] .. after
    else text = text:sub(1, math.max(1, #text - math.random(16))) end
    if text == "" then text = "\0" end
  end
  return text
end

local function crc32(text)
  local crc = 0xFFFFFFFF
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1) * 0xEDB88320 end
  end
  return crc ~ 0xFFFFFFFF
end

-- A right gzip file around any text of less than 64 KiB, without compression.
local function pack(text)
  return "\x1f\x8b\8\0\0\0\0\0\0\3\1" .. string.pack("<I2I2", #text, #text ~ 0xFFFF) .. text
    .. string.pack("<I4I4", crc32(text), #text)
end

-- A PNG file whose chunks have right checksums, as far as their lengths lead.
local function seal(text)
  local parts, at = { text:sub(1, 8) }, 9
  while at + 11 <= #text do
    local length = string.unpack(">I4", text, at)
    if at + 11 + length > #text then break end
    local chunk = text:sub(at + 4, at + 7 + length)
    parts[#parts + 1] = text:sub(at, at + 3) .. chunk .. string.pack(">I4", crc32(chunk))
    at = at + 12 + length
  end
  return table.concat(parts) .. text:sub(at)
end

-- A reader of the golden image files, which takes memory for what a small file's pixels can at most be.
local function pictures(name, wrap)
  return {
    right = function() return temporary.read("spec/golden/images/" .. name) end,
    wrap = wrap, read = image.load, memory = 128 << 20,
    isMissing = function() return select(3, image.load("spec/golden/images/" .. name)) == "unsupported" end,
  }
end

-- A golden file of weights, and its reader.
local function weights(name, read)
  return { right = function() return temporary.read("spec/golden/" .. name) end, read = read }
end

-- ---- The readers: right(directory) gives a right file's content, read(path) reads a damaged one; `memory`,
-- the bytes that tensors may take, is one MiB where it is left out; isMissing(): this build has no such reader ----

local function idxText() return string.pack(">I4I4I4I4", 0x803, 2, 4, 5) .. ("abcd"):rep(10) end

local function readImages(path) return idx.load(path, 3) end

local function packedText()
  local path = temporary.write(os.tmpname(), idxText())
  assert(os.execute("gzip -nf " .. path))
  local packed = temporary.read(path .. ".gz")
  assert(os.remove(path .. ".gz"))
  return packed
end

local SMALL_CIFAR = {
  name = "small", remedy = "none", subdirectory = "small-bin", files = { test = { "file" } },
  imagesPerFile = { test = 2 }, labelBytes = 1, mean = { 1, 2, 3 }, std = { 4, 5, 6 }, classes = { "a", "b", "c" },
}

local SMALL_MNIST = {
  name = "small", remedy = "none", classes = { "a", "b", "c" }, count = { test = 2 }, height = 4, width = 5,
}

damagedFiles.readers = {
  safetensors = {
    right = function(directory)
      local path = directory .. "/right"
      assert(safetensors.save(path, {
        weight = core.tensor_from("cpu", "float", { { 1, 2, 3 }, { 4, 5, 6 } }),
        count = core.tensor_from("cpu", "long", 9), empty = core.tensor_new("cpu", "half", { 0, 4 }),
        pixels = core.tensor_from("cpu", "byte", { 1, 2, 3 }),
      }, { format = "pt" }))
      return temporary.read(path)
    end,
    read = safetensors.load,
  },
  json = {
    right = function()
      return '{"epoch": 3, "kept": [1, 2.5e3, null], "name": "a\\u00e9\\n", "best": {"top1": true}}'
    end,
    read = function(path) return json.decode(assert(core.file_read(path))) end,
    isText = true, -- knows of no file
  },
  idx = { right = idxText, read = readImages },
  ["packed idx"] = { right = packedText, read = readImages },
  ["idx that was packed after the damage"] = { right = idxText, wrap = pack, read = readImages },
  gzip = { right = packedText, read = function(path) return core.file_gunzip(path) end },
  cifar = {
    right = function() return ("\2" .. ("x"):rep(3072)):rep(2) end,
    read = function(path)
      return cifar.open(SMALL_CIFAR, { split = "test", directory = path:match("^(.*)/") })
    end,
  },
  ["mnist's labels"] = {
    right = function(directory)
      temporary.write(directory .. "/t10k-images-idx3-ubyte", idxText())
      return string.pack(">I4I4", 0x801, 2) .. "\0\2"
    end,
    name = "t10k-labels-idx1-ubyte",
    read = function(path)
      return mnist.open(SMALL_MNIST, { split = "test", directory = path:match("^(.*)/"), mean = { 1 }, std = { 1 } })
    end,
  },
  jpeg = pictures "baseline_420_odd.jpg",
  ["progressive jpeg"] = pictures "progressive_420.jpg",
  png = pictures "gray8.png",
  ["png that was sealed after the damage"] = pictures("gray4_interlaced.png", seal),
  bmp = pictures "palette8.bmp",
  ppm = pictures "gray.pgm",
  ["ppm in ASCII"] = pictures "rgb_ascii.ppm",
  ["t7"] = weights("t7/tensors.t7", t7.load),
  ["t7 with functions and cycles"] = weights("t7/tables.t7", t7.load),
  ["t7 in ASCII"] = weights("t7/tensors_ascii.t7", t7.load),
  ["t7 of 4-byte longs"] = weights("t7/tensors_long4.t7", t7.load),
  ["t7 of a network"] = weights("t7/model_plain.t7", formats.read),
  ["pth"] = weights("pth/hand_written_ok.pth", pth.load),
  ["pth of every type"] = weights("pth/views_zip.pth", pth.load),
  ["pth of before 1.6"] = weights("pth/views_legacy.pth", pth.load),
  ["pth of a whole module"] = weights("pth/whole_module.pth", formats.read),
  ["onnx"] = weights("onnx/by_hand.onnx", onnx.load),
  ["onnx of a network"] = weights("onnx/torch_ts_opset17_folded.onnx", formats.read),
  log = {
    right = function() return "epoch\tlr\ttop1\n1\t0.1\t5.25\n2\t0.1\tnan\n3\t0.01\t4\n" end,
    read = function(path) return Log.open(path, { "lr", "top1" }, 3) end,
  },
}

--- Damages and reads a reader's file; prints how many were read and refused, and by how many kilobytes
-- the process's memory grew at most. Raises at the first that does not end as it should.
function damagedFiles.run(name, count, seed)
  local function peak()
    return tonumber(io.open("/proc/self/status"):read("a"):match("VmHWM:%s*(%d+)"))
  end
  local reader, directory = damagedFiles.readers[name], temporary.directory()
  local right, path = reader.right(directory), directory .. "/" .. (reader.name or "file")
  local nRead, nRefused, before = 0, 0, peak()
  math.randomseed(seed)
  -- For tensors that nothing ever fills, too.
  core.memory_limit("cpu", core.memory("cpu").live + (reader.memory or 1 << 20))
  for i = 1, count do
    local damaged = damagedFiles.mutate(right)
    temporary.write(path, reader.wrap and reader.wrap(damaged) or damaged)
    local ok, value, message, code = pcall(reader.read, path)
    assert(ok, ("file %d: %s: %q"):format(i, tostring(value), damaged))
    if value == nil then
      nRefused = nRefused + 1
      assert(code == "format", tostring(message))
      assert(reader.isText or message:find(path, 1, true), message)
    else
      nRead = nRead + 1
    end
  end
  temporary.remove(directory)
  print(nRead, nRefused, peak() - before)
end

return damagedFiles
