--- The parent of poolings with a window: its geometry.
-- @classmod densenet.nn.SpatialPooling

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialPooling, parent = class("nn.SpatialPooling", ImageModule)

function SpatialPooling:__init(kW, kH, dW, dH, padW, padH)
  parent.__init(self)
  local name = self.__typename
  self.kW, self.kH = argument.integer(1, name, kW, 1, "kW"), argument.integer(2, name, kH, 1, "kH")
  self.dW, self.dH = argument.integer(3, name, dW, 1, "dW"), argument.integer(4, name, dH, 1, "dH")
  self.padW = argument.optional("integer", 0, 5, name, padW, 0, "padW")
  self.padH = argument.optional("integer", 0, 6, name, padH, 0, "padH")
  self.ceilMode = false
  self.countPadding = true
end

--- Rounds the output size up; the last windows may hang over the edge.
-- @return the module
function SpatialPooling:ceil()
  self.ceilMode = true
  return self
end

--- Rounds the output size down, the default.
-- @return the module
function SpatialPooling:floor()
  self.ceilMode = false
  return self
end

--- Rows and columns of the output.
function SpatialPooling:outputSize(input)
  return core.pool2d_output_size(input:size(3), input:size(4), self.kH, self.kW, self.dH, self.dW, self.padH,
    self.padW, self.ceilMode)
end

function SpatialPooling:__tostring__()
  local padding = (self.padW ~= 0 or self.padH ~= 0) and (", %d,%d"):format(self.padW, self.padH) or ""
  return ("%s(%dx%d, %d,%d%s)"):format(self.__typename, self.kW, self.kH, self.dW, self.dH, padding)
end

return SpatialPooling
