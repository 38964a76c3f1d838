--- A learned tensor times the input, element by element; it repeats along its dimensions of size 1, and over a
-- batch: nn.CMul(1, C, 1, 1) or nn.CMul(C, 1, 1) for images N,C,H,W.
-- @classmod densenet.nn.CMul

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Weighted = require "densenet.nn.weighted"

local CMul, parent = class("nn.CMul", Weighted)

--- @param ... sizes of the weight, one by one or in a list
function CMul:__init(...)
  parent.__init(self)
  local sizes = table.pack(...)
  if sizes.n == 1 and type(sizes[1]) == "table" then sizes = table.pack(table.unpack(sizes[1])) end
  if sizes.n == 0 then argument.refuse(1, "nn.CMul", nil, "sizes") end
  for i = 1, sizes.n do argument.integer(i, "nn.CMul", sizes[i], 1, "size") end
  self.weight, self.gradWeight = self:newTensor(table.unpack(sizes)), self:newTensor(table.unpack(sizes))
  self:reset()
  self:zeroGradParameters()
end

--- New weights, uniform in ±1/√(their count), or in ±√3·deviation.
function CMul:reset(deviation)
  local most = self.resetLimit(deviation, 1 / math.sqrt(self.weight:nElement()))
  self.weight:uniform(-most, most)
  return self
end

function CMul:weightView(x, weight)
  local sizes = weight:size()
  if #sizes + 1 == x:dim() then table.insert(sizes, 1, 1) end
  local fits = #sizes == x:dim()
  for d = 1, #sizes do fits = fits and (sizes[d] == 1 or sizes[d] == x:size(d)) end
  if not fits then
    argument.raise("input of %s for the weight %s of %s", buffer.sizeText(x), buffer.sizeText(weight), self.__typename)
  end
  return weight:view(sizes)
end

function CMul:compute(y, x) core.binary(y, x, self:weightView(x, self.weight), "mul") end

function CMul:differentiate(dx, dy) core.binary(dx, dy, self:weightView(dy, self.weight), "mul") end

function CMul:slope(into, x) core.copy(into, x) end -- luacheck: ignore self

function CMul:__tostring__()
  return ("nn.CMul(%s)"):format(buffer.sizeText(self.weight))
end

return CMul
