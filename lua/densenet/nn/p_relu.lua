--- x where x is above 0, else a learned slope times x: one slope, or one a channel (of C, N,C, C,H,W or N,C,H,W).
-- Source: He et al. 2015 (arXiv:1502.01852).
-- @classmod densenet.nn.PReLU

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Weighted = require "densenet.nn.weighted"

local PReLU, parent = class("nn.PReLU", Weighted)

--- @tparam[opt=0] integer nOutputPlane channels with a slope each; 0: one slope for all
function PReLU:__init(nOutputPlane)
  parent.__init(self)
  self.nOutputPlane = argument.optional("integer", 0, 1, "nn.PReLU", nOutputPlane, 0, "nOutputPlane")
  local n = math.max(self.nOutputPlane, 1)
  self.weight, self.gradWeight = self:newTensor(n), self:newTensor(n)
  self:reset()
  self:zeroGradParameters()
end

--- Slopes of 0.25.
function PReLU:reset()
  core.fill(self.weight, 0.25)
  return self
end

function PReLU:weightView(x, weight)
  local sizes, nDim = {}, x:dim()
  for d = 1, nDim do sizes[d] = 1 end
  if self.nOutputPlane > 0 then
    local channel = (nDim == 2 or nDim == 4) and 2 or 1
    if nDim < 1 or nDim > 4 or x:size(channel) ~= self.nOutputPlane then
      argument.raise("expected %d channels (C, N,C, C,H,W or N,C,H,W), got %s", self.nOutputPlane,
        buffer.sizeText(x))
    end
    sizes[channel] = self.nOutputPlane
  end
  return weight:view(sizes)
end

function PReLU:compute(y, x)
  local below = buffer.like(self.scratch, "part", x)
  core.binary_scalar(below, x, 0, "min")
  core.binary(below, below, self:weightView(x, self.weight), "mul")
  core.binary_scalar(y, x, 0, "max")
  core.binary(y, y, below, "add")
end

function PReLU:differentiate(dx, dy, x)
  local above = buffer.like(self.scratch, "part", dy)
  core.relu_backward(above, dy, x)
  core.binary(dx, dy, above, "sub")
  core.binary(dx, dx, self:weightView(x, self.weight), "mul")
  core.binary(dx, dx, above, "add")
end

function PReLU:slope(into, x) core.binary_scalar(into, x, 0, "min") end -- luacheck: ignore self

function PReLU:__tostring__()
  return ("nn.PReLU(%d)"):format(self.nOutputPlane)
end

return PReLU
