--- Model files of Torch7, PyTorch and ONNX, as rows of densenet.models.formats.
-- @module densenet.models.foreign_formats

local core = require "densenet.core"

local N_CLASSES, KERNEL, N_CHANNELS = 1000, 7, 3 -- of networks for ImageNet

-- The recipe that all published networks for ImageNet of a library were trained with; nil for other networks, of which
-- nobody knows.
local function recipeOf(tensors, name)
  local conv0, classifier
  for each, tensor in pairs(tensors) do
    if each:find "features%.conv0%.weight$" then conv0 = tensor end
    if each:find "classifier%.weight$" then classifier = tensor end
  end
  local isKnown = core.is_tensor(conv0) and core.is_tensor(classifier) and conv0:dim() == 4 and classifier:dim() == 2
    and conv0:size(4) == KERNEL and conv0:size(2) == N_CHANNELS and classifier:size(1) == N_CLASSES
  return isKnown and name or nil
end

-- fb.resnet.torch's latest.t7 names the file with the network, which stands beside it.
local function modelBeside(path, value)
  local name = type(value) == "table" and not core.is_tensor(value) and rawget(value, "modelFile")
  local base = type(name) == "string" and name:match("([^/]+)$")
  if not base or rawget(value, "model") ~= nil then return nil end
  return (path:match("^(.*/)") or "") .. base
end

-- Fields of modules and of checkpoints that a network in evaluation has no use for.
local UNUSED = { output = true, gradInput = true, gradWeight = true, gradBias = true, optimState = true }

-- Without them, where nothing else in the file refers to what is in them.
local function loadT7(path)
  local t7 = require "densenet.io.t7"
  local value, message, code = t7.load(path, { without = UNUSED })
  if value == nil and code == "format" then return t7.load(path) end
  return value, message, code
end

local function readT7(path)
  local readTree = require "densenet.models.torch7_tree"
  local value, message, code = loadT7(path)
  if value == nil then return nil, message, code end
  local file = modelBeside(path, value)
  if file then
    value, message, code = loadT7(file)
    if value == nil then return nil, message, code end
  end
  local tree
  tree, message = readTree(value)
  if not tree then return nil, ("%s: %s"):format(file or path, message), "format" end
  local notes = tree.notes
  if tree.dropRate > 0 then
    notes[#notes + 1] = core.format("its dropout of %g is left out, which evaluation has not; -dropRate gives it back",
      tree.dropRate)
  end
  return { tensors = tree.tensors, notes = notes, file = file, preprocess = recipeOf(tree.tensors, "torch7") }
end

local function readPth(path)
  local tensors, info, code = require "densenet.io.pth".load(path)
  if not tensors then return nil, info, code end
  return { tensors = tensors, notes = info.notes, preprocess = recipeOf(tensors, "torchvision") }
end

local function readOnnx(path)
  local content, message, code = require "densenet.models.onnx_file" (path)
  if not content then return nil, message, code end
  content.preprocess = content.preprocess or recipeOf(content.tensors, "torchvision")
  return content
end

return {
  { name = "t7", read = readT7,
    detect = function(start) return start:find "^[0-8]\n" ~= nil or start:find "^[\1-\8]%z%z%z" ~= nil end },
  { name = "pth", read = readPth,
    detect = function(start) return start:find "^PK\3\4" ~= nil or start:find "^\x80[\2-\5]" ~= nil end },
  { name = "onnx", read = readOnnx,
    -- The field ir_version, then any other field of a model.
    detect = function(start, path) return start:find "^\8[\1-\x1f][\x12\x1a\x22\x28\x32\x3a\x42\x72]" ~= nil
      or path:lower():find "%.onnx$" ~= nil end },
}
