--- Sets a random share p of the planes of N,C,H,W to zero in training. As in Torch7 the others stay as they are,
-- and evaluation multiplies all of them by 1 − p.
-- Source: Tompson et al. 2015 (arXiv:1411.4280).
-- @classmod densenet.nn.SpatialDropout

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dropoutMask = require "densenet.nn.dropout_mask"
local ImageModule = require "densenet.nn.image_module"

local SpatialDropout, parent = class("nn.SpatialDropout", ImageModule)

--- @tparam[opt=0.5] number p share of zeros, 0 <= p < 1
function SpatialDropout:__init(p)
  parent.__init(self)
  self.p = dropoutMask.share("nn.SpatialDropout", p)
end

-- 1 for each plane that stays and 0 for each other one: N,C,1,1.
local function drawPlanes(self, input)
  local stays = buffer.shaped(self.scratch, "stays", input, input:size(1), input:size(2), 1, 1)
  core.fill(stays, 1)
  dropoutMask.apply(self.scratch, stays, stays, self.p, dropoutMask.reserve(stays:nElement()))
  core.unary(stays, stays, "sign") -- dropout has scaled them
end

local function multiply(self, y, x)
  if self.train then
    core.binary(y, x, self.scratch.stays, "mul")
  else
    core.binary_scalar(y, x, 1 - self.p, "mul")
  end
  return y
end

function SpatialDropout:forwardBatch(input)
  if self.train then drawPlanes(self, input) end
  return multiply(self, buffer.like(self.scratch, "output", input), input)
end

function SpatialDropout:gradInputBatch(input, gradOutput)
  return multiply(self, buffer.like(self.scratch, "gradInput", input), gradOutput)
end

function SpatialDropout:__tostring__()
  return core.format("nn.SpatialDropout(%g)", self.p)
end

return SpatialDropout
