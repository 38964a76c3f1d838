--- The same elements under other sizes.
-- @classmod densenet.nn.View

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local View, parent = class("nn.View", Module)

--- @param ... sizes of one sample; one of them may be -1, which stands for whatever is left
function View:__init(...)
  parent.__init(self)
  if select("#", ...) == 0 then argument.refuse(1, "nn.View", nil, "sizes") end
  self.size = type(...) == "table" and ... or { ... }
  self.count, self.hasFree = 1, false
  for i = 1, type(...) == "table" and #self.size or select("#", ...) do
    local size = self.size[i]
    if math.type(size) ~= "integer" or size < -1 or (size == -1 and self.hasFree) then
      argument.raise("bad argument #%d to 'nn.View' (sizes are integers, and one at most is -1; got %s)",
        i, tostring(size))
    end
    if size == -1 then
      self.hasFree = true
    else
      self.count = self.count * size
    end
  end
end

--- Says how many dimensions one sample of the input has; dimensions before them are the batch.
-- @treturn densenet.nn.View the module
function View:setNumInputDims(n)
  self.nInputDims = argument.optional("integer", nil, 1, "setNumInputDims", n, 1, "n")
  return self
end

-- Samples in the input, or nil when it is a single one without a batch dimension. Without
-- setNumInputDims the batch is what is left over when one sample has been filled; so a single
-- sample in a batch loses its batch dimension, as it does in Torch.
local function batchSize(self, input)
  local nDims = input:dim()
  local nInner = math.min(self.nInputDims or nDims, nDims)
  local inner, batch = 1, 1
  for d = 1, nDims do
    if d > nDims - nInner then
      inner = inner * input:size(d)
    else
      batch = batch * input:size(d)
    end
  end
  if self.count == 0 or inner % self.count ~= 0 then
    argument.raise("input of %s does not divide into views of %s",
      buffer.sizeText(input), table.concat(self.size, "x"))
  end
  if not self.hasFree then
    batch = batch * (inner // self.count)
  end
  if batch == 1 and nInner == nDims then
    return nil
  end
  return batch
end

function View:updateOutput(input)
  argument.passed(self, "input", input)
  local batch = batchSize(self, input)
  local whole = buffer.contiguous(self.scratch, "input", input)
  if batch then
    self.output = whole:view(batch, table.unpack(self.size))
  else
    self.output = whole:view(self.size)
  end
  return self.output
end

function View:updateGradInput(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.contiguous(self.scratch, "gradOutput", gradOutput):view(input:size())
  return self.gradInput
end

function View:__tostring__()
  return ("nn.View(%s)"):format(table.concat(self.size, ", "))
end

return View
