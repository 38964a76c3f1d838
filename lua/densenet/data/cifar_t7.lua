--- CIFAR as fb.resnet.torch keeps it, in one .t7 file: {train = {data =, labels =}, val = {data =, labels =}}, bytes
-- N,3,32,32 and labels from 1.
local core = require "densenet.core"
local t7 = require "densenet.io.t7"

local cifarT7 = {}

local SHAPE = { 3, 32, 32 }
local SPLITS = { train = "train", test = "val" }

--- The file of a data set in a directory; nil where there is none.
-- @param definition the data set's
-- @param directory where its files are
function cifarT7.find(definition, directory)
  local path = ("%s/%s.t7"):format(directory, definition.name)
  return core.file_size(path) and path or nil
end

local function isField(value) return type(value) == "table" and not core.is_tensor(value) end

-- What is wrong with the images and labels of a split, or nil.
local function complaint(part, field)
  if not isField(part) then return ("%s: images and labels expected, got %s"):format(field, tostring(part)) end
  local data, labels = part.data, part.labels
  local isImages = core.is_tensor(data) and data:dtype() == "byte" and data:dim() == 4 and data:nElement() > 0
  for d, size in ipairs(SHAPE) do isImages = isImages and data:size(d + 1) == size end
  if not isImages then
    return ("%s.data: a byte tensor Nx%s expected, got %s"):format(field, table.concat(SHAPE, "x"),
      core.is_tensor(data) and core.tensor_describe(data) or tostring(data))
  end
  if not core.is_tensor(labels) or labels:dim() ~= 1 or labels:size(1) ~= data:size(1) then
    return ("%s.labels: %d labels expected, one for each image"):format(field, data:size(1))
  end
end

--- Reads a split.
-- @param path the file
-- @param definition the data set's
-- @param split "train" or "test"
-- @return images, byte N,C,H,W; and labels, long N, from 1; or nil, message, code
function cifarT7.load(path, definition, split)
  local value, message, code = t7.load(path)
  if value == nil then return nil, message, code end
  local field = SPLITS[split]
  local part = isField(value) and value[field]
  local wrong = complaint(part, field)
  if wrong then return nil, ("%s: %s"):format(path, wrong), "format" end
  local labels = part.labels:to "long"
  local least, most = labels:min(), labels:max()
  if least < 1 or most > #definition.classes then
    return nil, ("%s: %s.labels: numbers from 1 to %d expected, got %d to %d"):format(path, field, #definition.classes,
      least, most), "format"
  end
  return part.data:contiguous(), labels:contiguous()
end

return cifarT7
