--- The input itself, tensor or table, without a copy.
-- @classmod densenet.nn.Identity

local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Identity = class("nn.Identity", Module)

function Identity:updateOutput(input)
  self.output = input
  return input
end

function Identity:updateGradInput(_, gradOutput)
  self.gradInput = gradOutput
  return gradOutput
end

return Identity
