--- Sets a random share p of the elements to zero in training and scales the others by 1/(1−p).
-- Evaluation passes the input on. No mask is stored: it is a function of the generator's position,
-- which a forward reserves and its backward uses again.
-- @classmod densenet.nn.Dropout

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dropoutMask = require "densenet.nn.dropout_mask"
local Module = require "densenet.nn.module"

local Dropout, parent = class("nn.Dropout", Module)

--- @tparam[opt=0.5] number p share of zeros, 0 <= p < 1
function Dropout:__init(p)
  parent.__init(self)
  self.p = dropoutMask.share("nn.Dropout", p)
end

--- Does it set anything to zero, as things stand?
function Dropout:isActive()
  return self.train and self.p > 0
end

local function forward(self, output, input)
  self.mask = dropoutMask.reserve(input:nElement())
  dropoutMask.apply(self.scratch, output, input, self.p, self.mask)
end

function Dropout:updateOutput(input)
  argument.passed(self, "input", input)
  if not self:isActive() then
    self.output = input
    return input
  end
  self.output = buffer.like(self.scratch, "output", input)
  forward(self, self.output, input)
  return self.output
end

function Dropout:updateGradInput(_, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  if not self:isActive() then
    self.gradInput = gradOutput
    return gradOutput
  end
  self.gradInput = buffer.like(self.scratch, "gradInput", gradOutput)
  dropoutMask.apply(self.scratch, self.gradInput, gradOutput, self.p, self.mask, true)
  return self.gradInput
end

-- In place on tensors of somebody else's, for the fused stages; only while it is active.

function Dropout:forwardInPlace(x)
  forward(self, x, x)
end

--- The same elements as at the last forward.
function Dropout:againInPlace(x)
  dropoutMask.apply(self.scratch, x, x, self.p, self.mask)
end

function Dropout:backwardInPlace(dx)
  dropoutMask.apply(self.scratch, dx, dx, self.p, self.mask, true)
end

function Dropout:__tostring__()
  return core.format("nn.Dropout(%g)", self.p)
end

return Dropout
