-- A module and a loss of one's own keep Torch's contract: updateOutput, updateGradInput, accGradParameters.
--
--   eval $(make env); lua5.4 examples/own_module.lua

local dn = require "densenet"
local nn = dn.nn

-- y = weight x, one weight for all elements.
local Scale, parent = nn.class("Scale", nn.Module)

function Scale:__init()
  parent.__init(self)
  self.weight, self.gradWeight = dn.ones(1), dn.zeros(1)
end

function Scale:updateOutput(input)
  self.output = input * self.weight:item()
  return self.output
end

function Scale:updateGradInput(_, gradOutput)
  self.gradInput = gradOutput * self.weight:item()
  return self.gradInput
end

function Scale:accGradParameters(input, gradOutput, scale)
  self.gradWeight:add(scale or 1, dn.tensor { (input * gradOutput):sum() })
end

-- The mean absolute difference.
local AbsLoss, criterionParent = nn.class("AbsLoss", nn.Criterion)

function AbsLoss:__init() criterionParent.__init(self) end

function AbsLoss:updateOutput(input, target)
  self.output = (input - target):abs():mean()
  return self.output
end

function AbsLoss:updateGradInput(input, target)
  self.gradInput = (input - target):sign() / input:nElement()
  return self.gradInput
end

local net = nn.Sequential():add(nn.Linear(3, 4)):add(Scale()):add(nn.Linear(4, 1))
local criterion, sgd = AbsLoss(), dn.optim.SGD(net, { learningRate = 0.05 })
local input = dn.randn(8, 3)
local target = input:sum(2)
for step = 1, 5 do
  net:zeroGradParameters()
  local loss = criterion:forward(net:forward(input), target)
  net:backward(input, criterion:backward(net.output, target))
  sgd:step()
  print(step, loss, net:get(2).weight:item())
end
