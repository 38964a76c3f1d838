--- N,C,H,W to N,C and a given number of lines and columns, each the mean of a window. Windows are rectangles, so
-- lines are averaged first, and columns of those.
-- @classmod densenet.nn.SpatialAdaptiveAveragePooling

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local SpatialAdaptivePooling = require "densenet.nn.spatial_adaptive_pooling"

--- Constructed as nn.SpatialAdaptiveAveragePooling(W, H), columns first.
local SpatialAdaptiveAveragePooling = class("nn.SpatialAdaptiveAveragePooling", SpatialAdaptivePooling)

local LINES, COLUMNS = 3, 4

-- Along one dimension: y's positions are means of x's windows.
local function average(self, y, x, dim)
  self.eachWindow(y:size(dim), x:size(dim), function(i, first, length)
    core.reduce(y:narrow(dim, i, 1), x:narrow(dim, first, length), "mean", 0)
  end)
end

local function spread(self, dx, dy, dim)
  core.fill(dx, 0)
  self.eachWindow(dy:size(dim), dx:size(dim), function(i, first, length)
    local window = dx:narrow(dim, first, length)
    core.add_scaled(window, window, dy:narrow(dim, i, 1), 1 / length)
  end)
end

function SpatialAdaptiveAveragePooling:forwardBatch(input)
  local x = buffer.widened(self.scratch, "wideInput", input)
  local n, c, width = x:size(1), x:size(2), x:size(4)
  local lines = buffer.shaped(self.scratch, "lines", x, n, c, self.H, width)
  local y = buffer.shaped(self.scratch, "means", x, n, c, self.H, self.W)
  average(self, lines, x, LINES)
  average(self, y, lines, COLUMNS)
  return buffer.narrowed(self.scratch, "narrowOutput", input, y)
end

function SpatialAdaptiveAveragePooling:gradInputBatch(input, gradOutput)
  local dy = buffer.widened(self.scratch, "wideGradOutput", gradOutput)
  local lines = buffer.shaped(self.scratch, "gradLines", dy, input:size(1), input:size(2), self.H, input:size(4))
  local dx = buffer.shaped(self.scratch, "gradInput", dy, input:size())
  spread(self, lines, dy, COLUMNS)
  spread(self, dx, lines, LINES)
  return buffer.narrowed(self.scratch, "narrowGradInput", input, dx)
end

return SpatialAdaptiveAveragePooling
