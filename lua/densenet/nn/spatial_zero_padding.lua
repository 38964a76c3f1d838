--- Zeros around each plane of N,C,H,W; a negative count takes lines or columns away.
-- @classmod densenet.nn.SpatialZeroPadding

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialZeroPadding, parent = class("nn.SpatialZeroPadding", ImageModule)

--- @tparam integer padLeft
-- @tparam[opt=padLeft] integer padRight
-- @tparam[opt=padLeft] integer padTop
-- @tparam[opt=padLeft] integer padBottom
function SpatialZeroPadding:__init(padLeft, padRight, padTop, padBottom)
  parent.__init(self)
  local name = "nn.SpatialZeroPadding"
  self.padLeft = argument.integer(1, name, padLeft, nil, "padLeft")
  self.padRight = argument.optional("integer", self.padLeft, 2, name, padRight, nil, "padRight")
  self.padTop = argument.optional("integer", self.padLeft, 3, name, padTop, nil, "padTop")
  self.padBottom = argument.optional("integer", self.padLeft, 4, name, padBottom, nil, "padBottom")
end

-- What input and output have in common, as a view of each.
local function common(self, input, output)
  local function both(dim, before, after)
    local length = input:size(dim) + math.min(before, 0) + math.min(after, 0)
    input = input:narrow(dim, 1 - math.min(before, 0), length)
    output = output:narrow(dim, 1 + math.max(before, 0), length)
  end
  both(3, self.padTop, self.padBottom)
  both(4, self.padLeft, self.padRight)
  return input, output
end

-- Is something of the input left?
local function checkSize(self, input)
  local nRows = input:size(3) + math.min(self.padTop, 0) + math.min(self.padBottom, 0)
  local nColumns = input:size(4) + math.min(self.padLeft, 0) + math.min(self.padRight, 0)
  if nRows < 1 or nColumns < 1 then
    argument.raise("%s leaves nothing of an input of %s", tostring(self), buffer.sizeText(input))
  end
end

function SpatialZeroPadding:forwardBatch(input)
  checkSize(self, input)
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), input:size(2),
    input:size(3) + self.padTop + self.padBottom, input:size(4) + self.padLeft + self.padRight)
  core.fill(output, 0)
  local from, to = common(self, input, output)
  core.copy(to, from)
  return output
end

function SpatialZeroPadding:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.fill(gradInput, 0)
  local to, from = common(self, gradInput, gradOutput)
  core.copy(to, from)
  return gradInput
end

function SpatialZeroPadding:__tostring__()
  return ("nn.SpatialZeroPadding(%d, %d, %d, %d)"):format(self.padLeft, self.padRight, self.padTop, self.padBottom)
end

return SpatialZeroPadding
