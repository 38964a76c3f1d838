--- N,C,H,W to N,C and a given number of lines and columns, each the largest value of a window. Windows are
-- rectangles, so lines are compared first, and columns of what they leave.
-- @classmod densenet.nn.SpatialAdaptiveMaxPooling

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local SpatialAdaptivePooling = require "densenet.nn.spatial_adaptive_pooling"

--- Constructed as nn.SpatialAdaptiveMaxPooling(W, H), columns first.
local SpatialAdaptiveMaxPooling = class("nn.SpatialAdaptiveMaxPooling", SpatialAdaptivePooling)

local LINES, COLUMNS = 3, 4

local function add(t, dim, position, number)
  local part = t:narrow(dim, position, 1)
  core.binary_scalar(part, part, number, "add")
end

-- Along one dimension: y's positions are the largest of x's windows, and indices says where in x's plane they
-- stand, counted from 1 and line by line, as max_pool2d_backward reads it.
local function select(self, y, indices, x, dim)
  local width = x:size(COLUMNS)
  self.eachWindow(y:size(dim), x:size(dim), function(i, first, length)
    core.arg_reduce(y:narrow(dim, i, 1), indices:narrow(dim, i, 1), x:narrow(dim, first, length), dim, true)
    add(indices, dim, i, first - 1)
  end)
  if dim == LINES then
    core.binary_scalar(indices, indices, 1, "sub")
    core.binary_scalar(indices, indices, width, "mul")
    for column = 1, width do add(indices, COLUMNS, column, column) end
  else
    for line = 1, x:size(LINES) do add(indices, LINES, line, (line - 1) * width) end
  end
end

function SpatialAdaptiveMaxPooling:forwardBatch(input)
  local n, c, width, device = input:size(1), input:size(2), input:size(4), input:device()
  local lines = buffer.shaped(self.scratch, "lines", input, n, c, self.H, width)
  local lineIndices = buffer.get(self.scratch, "lineIndices", device, "long", n, c, self.H, width)
  local output = buffer.shaped(self.scratch, "output", input, n, c, self.H, self.W)
  local indices = buffer.get(self.scratch, "indices", device, "long", n, c, self.H, self.W)
  select(self, lines, lineIndices, input, LINES)
  select(self, output, indices, lines, COLUMNS)
  return output
end

function SpatialAdaptiveMaxPooling:gradInputBatch(input, gradOutput)
  local lines = buffer.shaped(self.scratch, "gradLines", gradOutput, input:size(1), input:size(2), self.H,
    input:size(4))
  local gradInput = buffer.shaped(self.scratch, "gradInput", input, input:size())
  core.max_pool2d_backward(lines, gradOutput, self.scratch.indices)
  core.max_pool2d_backward(gradInput, lines, self.scratch.lineIndices)
  return gradInput
end

return SpatialAdaptiveMaxPooling
