--- A network's first convolution for images of another number of channels: colour weights for grey pictures,
-- grey ones for colours.
--
-- To one channel the weights are summed: a grey image gives what its red, green and blue copies gave. To more
-- channels they are repeated in turn and scaled by old/new, so that sums stay as large: equal
-- channels give what one of them gave. Fewer channels that are not one have no such meaning.
-- @module densenet.models.input_channels

local core = require "densenet.core"
local shallowCopy = require "densenet.shallow_copy"

local inputChannels = {}

local NAME = "features.conv0.weight"

local function adapted(weight, wanted)
  local nOut, nIn, height, width = table.unpack(weight:size())
  local new = core.tensor_new("cpu", weight:dtype(), { nOut, wanted, height, width })
  if wanted == 1 then
    local sum = new:select(2, 1)
    core.fill(sum, 0)
    for c = 1, nIn do core.add_scaled(sum, sum, weight:select(2, c), 1) end
    return new
  end
  core.fill(new, 0)
  for c = 1, wanted do
    local part = new:select(2, c)
    core.add_scaled(part, part, weight:select(2, (c - 1) % nIn + 1), nIn / wanted)
  end
  return new
end

--- Tensors with a first convolution for another number of channels.
-- @tparam table tensors name → tensor, under our names; not changed
-- @tparam integer wanted channels of the images
-- @treturn table a table with another tensor in it, or the same where nothing is to do; or nil and a sentence
-- @treturn ?string what was done, for people
function inputChannels.adapt(tensors, wanted)
  local weight = rawget(tensors, NAME)
  if not core.is_tensor(weight) or weight:dim() ~= 4 then
    return nil, ("images of %d channels: the first convolution can be changed where it is %s, and there is none")
      :format(wanted, NAME)
  end
  local nIn = weight:size(2)
  if nIn == wanted then return tensors end
  if wanted > 1 and wanted < nIn then
    return nil, ("images of %d channels: %s has weights for %d, which can be summed to 1 or repeated to more"):format(
      wanted, NAME, nIn)
  end
  local copy = shallowCopy(tensors)
  local isReal = weight:dtype() == "float" or weight:dtype() == "double"
  copy[NAME] = adapted(isReal and weight or weight:type("float"), wanted)
  local how = wanted == 1 and "summed over" or "repeated in turn from"
  return setmetatable(copy, getmetatable(tensors)), ("%s: its weights for %d channel%s are %s %d channel%s%s"):format(
    NAME, wanted, wanted == 1 and "" or "s", how, nIn, nIn == 1 and "" or "s",
    wanted == 1 and "" or (", scaled by %d/%d"):format(nIn, wanted))
end

return inputChannels
