--- Weights that PyTorch saved, .pth, .pt and the like: tensors by their names, out of a state_dict, a checkpoint
-- that holds one, or a whole pickled module.
--
-- Read are the zip archives of PyTorch 1.6 and later and the pickles of all versions before, back to 2016 and
-- Python 2. Nothing in a file is ever executed: names of classes and functions are only names, a closed list of them
-- has a meaning (densenet.io.pth.names), and a call of any other function is refused by its name.
-- @module densenet.io.pth

local argument = require "densenet.argument"
local byteSource = require "densenet.io.byte_source"
local core = require "densenet.core"
local dtypeBytes = require "densenet.dtype_bytes"
local fileKind = require "densenet.io.file_kind"
local readPickle = require "densenet.io.pth.pickle"
local stridedView = require "densenet.io.strided_view"
local values = require "densenet.io.pth.values"
local weights = require "densenet.io.pth.weights"
local zip = require "densenet.io.pth.zip"

local pth = {}

local START = 512
local MAGIC_BYTES = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" -- a pickled number, which old files begin with
local OLD_PROTOCOL = 1001

-- ---- Where storages are ----

-- In an archive: an entry for each key.
local function archive(source)
  local entries = zip.entries(source)
  local root
  for name in pairs(entries) do
    if name:find "/code/" or name:find "constants%.pkl$" then
      source:refuse("it is a TorchScript archive; expected weights, which torch.save(model.state_dict(), …) writes")
    end
    root = name:match "^([^/]+/)data%.pkl$" or root
  end
  if not root then source:refuse("it is a zip archive without data.pkl; expected weights of torch.save") end
  local order = entries[root .. "byteorder"]
  local word = order and zip.open(source, order):take(math.min(order.size, 16)) or "little"
  if word ~= "little" then source:refuse("its elements are in another order: expected little, got %q", word) end
  local function open(storage)
    local entry = entries[root .. "data/" .. storage.key]
    if not entry or storage.key:find "[/\\]" then source:refuse("there is no entry data/%s", storage.key) end
    return zip.open(source, entry)
  end
  local value, nLarge = readPickle(zip.open(source, entries[root .. "data.pkl"]))
  return value, nLarge, open
end

local function bytesOf(kind) return kind.bytes or dtypeBytes[kind.dtype] end

-- Before 1.6: behind the pickles, each with its number of elements. What they are of, only tensors say.
local function storagesBehind(source, value, kinds)
  local places = {}
  for _, key in ipairs(value.items) do
    key = type(key) == "number" and core.format("%s", key) or key
    local kind = kinds[key]
    local count = source:number("<i8", 8)
    if not kind then source:refuse("it stores elements %q of no tensor", tostring(key)) end
    source:expect(count, bytesOf(kind), "a storage")
    places[key] = { first = source.at, count = count }
    source:skip(count * bytesOf(kind))
  end
  return places
end

local function legacy(source)
  if not source:peek(START):find(MAGIC_BYTES, 1, true) then
    readPickle(source) -- a name that it refuses says more
    source:refuse("it is a pickle, and not one of torch.save")
  end
  readPickle(source)
  local version = readPickle(source)
  if version ~= OLD_PROTOCOL then source:refuse("its form is %s; expected %d", tostring(version), OLD_PROTOCOL) end
  local system = readPickle(source)
  if values.is(system, "dict") and system.of.little_endian == false then
    source:refuse("its elements are in another order: expected little-endian")
  end
  local value, nLarge, kinds = readPickle(source)
  local keys = readPickle(source)
  if not values.is(keys, "list") then source:refuse("it has no list of storages") end
  local places = storagesBehind(source, keys, kinds)
  local function open(storage)
    local place = places[storage.key]
    if not place then source:refuse("there is no storage %s", storage.key) end
    return source:part(place.first, place.count * bytesOf(storage.elements))
  end
  return value, nLarge, open
end

-- ---- Tensors ----

-- The elements of a storage, read once: all of them, since other tensors may stand on it.
local function elements(source, storage, open, read)
  local known = read[storage.key]
  if known and known.kind == storage.elements then return known.vector end
  local content = open(storage)
  if storage.count > content:left() // bytesOf(storage.elements) then
    source:refuse("storage %s would have %d elements of %d bytes, and there are %d bytes", storage.key, storage.count,
      bytesOf(storage.elements), content:left())
  end
  local vector = content:vector(storage.elements, storage.count)
  read[storage.key] = { kind = storage.elements, vector = vector }
  return vector
end

local function tensorOf(source, tensor, open, read)
  local storage = tensor.storage
  local vector = elements(source, storage, open, read)
  if storage.nOwn then vector = vector:narrow(1, storage.first + 1, storage.nOwn) end
  return stridedView(source, vector, storage.first + tensor.offset + 1, tensor.sizes, tensor.strides)
end

local function complain(source)
  local start = source:peek(START)
  source:refuse("expected weights of PyTorch (.pth), got %s", fileKind.of(start) or "a file of no known kind")
end

local function read(source)
  local start, value, nLarge, open = source:peek(4), nil, nil, nil
  if start:find "^PK\3\4" then
    value, nLarge, open = archive(source)
  elseif start:find "^\x80[\2-\5]" then
    value, nLarge, open = legacy(source)
  elseif start:find "^%([SVIlicd]" then -- a pickle of protocol 0 or 1, which torch.save never wrote
    readPickle(source)
    source:refuse("it is a pickle, and not one of torch.save")
  else
    complain(source)
  end
  local list, notes = weights.find(source, value)
  local tensors, storages = {}, {}
  for _, each in ipairs(list) do
    if tensors[each.name] then source:refuse("two tensors are called %q", each.name) end
    tensors[each.name] = tensorOf(source, each.tensor, open, storages)
  end
  if nLarge > 0 then
    notes[#notes + 1] = ("%d whole numbers beyond 64 bits became floating-point"):format(nLarge)
  end
  return tensors, { notes = notes }
end

--- The weights in a file.
-- @tparam string path the file
-- @treturn table name → tensor, on the CPU; tensors that share memory in the file share it; booleans and integers of
-- 8, 16 and 32 bits are long, unsigned bytes byte
-- @treturn table {notes = list of sentences for people}. Or nil, message, code: "io" or "format"
function pth.load(path)
  argument.string(1, "pth.load", path, "path")
  return byteSource.read(path, read)
end

return pth
