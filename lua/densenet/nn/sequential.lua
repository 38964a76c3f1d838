--- Modules one after the other.
-- @classmod densenet.nn.Sequential

local argument = require "densenet.argument"
local backwardWatch = require "densenet.nn.backward_watch"
local class = require "densenet.nn.class"
local folding = require "densenet.nn.folding"
local Container = require "densenet.nn.container"

local Sequential, parent = class("nn.Sequential", Container)

Sequential.markBackward = Container.markInOrder

function Sequential:updateOutput(input)
  local current, i = input, 1
  while i <= #self.modules do
    local folded, last
    if folding.isOn() then folded, last = folding.stem(self.modules, i, current) end
    current = folded or self:callChild(i, "updateOutput", current)
    i = (last or i) + 1
  end
  self.output = current
  return current
end

-- Walks from the last child to the first: visit(i, the child's input, its gradOutput) gives the
-- gradOutput of the child before. The first children may have nothing to do (nn.freezing).
local function walkBack(self, input, gradOutput, visit)
  local current = gradOutput
  for i = #self.modules, 1, -1 do
    if self.modules[i].isIdle then
      return nil
    end
    current = visit(i, i > 1 and self.modules[i - 1].output or input, current)
  end
  return current
end

function Sequential:updateGradInput(input, gradOutput)
  self.gradInput = walkBack(self, input, gradOutput, function(i, childInput, childGradOutput)
    return self:callChild(i, "updateGradInput", childInput, childGradOutput)
  end)
  return self.gradInput
end

function Sequential:accGradParameters(input, gradOutput, scale)
  walkBack(self, input, gradOutput, function(i, childInput, childGradOutput)
    self:accumulateChild(i, childInput, childGradOutput, scale)
    backwardWatch.tell(self, self.modules[i])
    return self.modules[i].gradInput
  end)
end

function Sequential:backward(input, gradOutput, scale)
  if gradOutput == nil then argument.refuse(2, "backward", gradOutput, "a gradOutput") end
  if self:hasOwnHalves(Sequential) then
    return parent.backward(self, input, gradOutput, scale)
  end
  self.gradInput = walkBack(self, input, gradOutput, function(i, childInput, childGradOutput)
    local gradInput = self:callChild(i, "backward", childInput, childGradOutput, scale or 1)
    backwardWatch.tell(self, self.modules[i])
    return gradInput
  end)
  return self.gradInput
end

function Sequential:__tostring__()
  local chain = { "input" }
  for i = 1, #self.modules do
    chain[#chain + 1] = ("(%d)"):format(i)
  end
  chain[#chain + 1] = "output"
  local lines = self:childLines("  ")
  table.insert(lines, 1, "  [" .. table.concat(chain, " -> ") .. "]")
  return ("%s {\n%s\n}"):format(self.__typename, table.concat(lines, "\n"))
end

return Sequential
