--- The kinds of model files that models.load and -retrain read. A kind is a row of `formats.rows`:
--
--    name     for people: "safetensors"
--    detect   function(start, path) → is it one? start: the file's first 512 bytes; "" for a directory
--    read     function(path, options) → content; or nil, message, code ("io", "format", "unsupported")
--
-- The content is a table:
--
--    tensors      name → tensor on the CPU, under torchvision's names or others that densenet.models.names knows
--    config       (optional) configuration of the network (models.fromConfig), where the file says it
--    preprocess   (optional) what images go through: a recipe (densenet.data.recipe), or the name of one that all
--                 files of this kind were trained with
--    classes      (optional) list of the classes' names
--    metadata     (optional) table string → string, as it stands in the file
--    state        (optional) what a training run of this library says of itself, JSON as it was decoded
--    file         (optional) the file that was read, where `path` is a directory
--    notes        (optional) list of sentences for people
--
-- What a file says is not checked here; whoever uses it checks it.
-- @module densenet.models.formats

local core = require "densenet.core"
local fileKind = require "densenet.io.file_kind"
local json = require "densenet.io.json"
local names = require "densenet.models.names"
local packed = require "densenet.mlg.packed"
local networkMetadata = require "densenet.io.network_metadata"
local safetensors = require "densenet.io.safetensors"
local sortedNames = require "densenet.sorted_names"

local formats = {}

local START_BYTES = 512
local METADATA_KEY = "densenet" -- a run's state, in the files that it saves

local function isDirectory(path) return core.directory_list(path) ~= nil end

-- A line about tensors of a file that this library cannot hold, or nil.
local function leftOutNote(leftOut)
  local list = sortedNames(leftOut)
  if #list == 0 then return nil end
  return ("%d of its tensors are left out, the first is %q: %s"):format(#list, list[1], leftOut[list[1]])
end

local function isObject(value) return type(value) == "table" and value ~= json.null and not json.isArray(value) end

-- The recipe of a run, also of those that saved mean and std and the images' size only.
local function recipeOf(state)
  local mean, std, size = state.mean, state.std, state.inputSize
  if state.preprocess ~= nil or not (mean and std and type(size) == "table" and size[2] == size[3]) then
    return state.preprocess
  end
  return { mean = mean, std = std, range = 255, scale = size[2], filter = "bilinear", crop = size[2],
    rounding = "even", channels = size[1] }
end

-- A packed file as the ordinary network's that it stands for. Returns true; or nil, message, code.
local function unpack(path, content)
  local tensors, wrong = packed.unpack(content.tensors, content.metadata)
  if not tensors then return nil, ("%s: %s"):format(path, wrong), "format" end
  content.tensors = tensors
  if type(content.config) == "table" then content.config.mlg = nil end
  return true
end

local function readSafetensors(path)
  local tensors, metadata, leftOut = safetensors.load(path)
  if not tensors then return nil, metadata, leftOut end
  local content = { tensors = tensors, metadata = metadata, notes = { leftOutNote(leftOut) } }
  local text = metadata[METADATA_KEY]
  if text then
    local state, message, code = json.decode(text)
    if not isObject(state) then
      return nil, ("%s: its metadata: %s"):format(path, message or "an object expected"), code or "format"
    end
    content.state, content.config, content.preprocess = state, state.network, recipeOf(state)
    content.classes = state.classes
  else
    content.config, content.classes, content.preprocess = networkMetadata.decode(metadata)
  end
  if packed.is(tensors, metadata) then
    local done, message, code = unpack(path, content)
    if not done then return nil, message, code end
  end
  return content
end

-- A run's directory stands for its best model, or for the latest where no epoch has been tested.
local function readDirectory(path)
  local directory = path:gsub("(.)/+$", "%1")
  local file = directory .. "/model_best.safetensors"
  if not core.file_exists(file) then
    local text = core.file_read(directory .. "/latest.json")
    local latest = text and json.decode(text)
    local name = isObject(latest) and latest.model
    if type(name) ~= "string" or not name:find("^model_[%d_]+%.safetensors$") then
      return nil, ("%s: expected a model file or a run's directory, got a directory without model_best.safetensors")
        :format(path), "format"
    end
    file = directory .. "/" .. name
  end
  local content, message, code = readSafetensors(file)
  if not content then return nil, message, code end
  content.file = file
  return content
end

formats.rows = {
  { name = "checkpoint", detect = function(_, path) return isDirectory(path) end,
    read = readDirectory },
  { name = "safetensors", detect = function(start) return start:find("^......\0\0{") ~= nil end,
    read = readSafetensors },
}
for _, row in ipairs(require "densenet.models.foreign_formats") do formats.rows[#formats.rows + 1] = row end

--- The row that reads a file.
-- @param path a file, or a directory
-- @return row; or nil, message, code
function formats.find(path)
  local start = ""
  if not isDirectory(path) then
    local size, message, code = core.file_size(path)
    if not size then return nil, message, code end
    start, message, code = core.file_read(path, 0, math.min(size, START_BYTES))
    if not start then return nil, message, code end
  end
  local known = {}
  for i, row in ipairs(formats.rows) do
    if row.detect(start, path) then return row end
    known[i] = row.name
  end
  local kind = fileKind.of(start)
  return nil, ("%s: expected a model file (%s), got %s"):format(path, table.concat(known, ", "),
    kind or "a file of no known kind"), "format"
end

--- Reads a model file of any kind.
-- @tparam string path
-- @tparam[opt] table options for the row's read
-- @treturn table the content, its tensors under our names, `notes` always a list, `format` the row's name; or nil,
-- message, code
function formats.read(path, options)
  local row, message, code = formats.find(path)
  if not row then return nil, message, code end
  local content
  content, message, code = row.read(path, options or {})
  if not content then return nil, message, code end
  local tensors, more, translateCode = names.translate(content.tensors)
  if not tensors then return nil, ("%s: %s"):format(content.file or path, more), translateCode end
  content.tensors, content.format, content.file = tensors, row.name, content.file or path
  content.notes = content.notes or {}
  table.move(more, 1, #more, #content.notes + 1, content.notes)
  return content
end

return formats
