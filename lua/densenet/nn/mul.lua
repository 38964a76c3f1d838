--- One learned number times each element, of a tensor of any size.
-- @classmod densenet.nn.Mul

local core = require "densenet.core"
local class = require "densenet.nn.class"
local Weighted = require "densenet.nn.weighted"

local Mul, parent = class("nn.Mul", Weighted)

function Mul:__init()
  parent.__init(self)
  self.weight, self.gradWeight = self:newTensor(1), self:newTensor(1)
  self:reset()
  self:zeroGradParameters()
end

--- A new weight, uniform in ±1, or in ±√3·deviation.
function Mul:reset(deviation)
  local most = self.resetLimit(deviation, 1)
  self.weight:uniform(-most, most)
  return self
end

function Mul:weightView(x, weight) -- luacheck: ignore self
  local sizes = {}
  for d = 1, x:dim() do sizes[d] = 1 end
  return weight:view(sizes)
end

function Mul:compute(y, x) core.binary(y, x, self:weightView(x, self.weight), "mul") end

function Mul:differentiate(dx, dy) core.binary(dx, dy, self:weightView(dy, self.weight), "mul") end

function Mul:slope(into, x) core.copy(into, x) end -- luacheck: ignore self

return Mul
