--- Several modules on one input; the output is the table of their outputs.
-- @classmod densenet.nn.ConcatTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Container = require "densenet.nn.container"
local Module = require "densenet.nn.module"

local ConcatTable, parent = class("nn.ConcatTable", Container)

function ConcatTable:__init()
  parent.__init(self)
  self.output = {}
end

ConcatTable.markBackward = Container.markBranches

function ConcatTable:updateOutput(input)
  for i = 1, #self.modules do
    self.output[i] = self:callChild(i, "updateOutput", input)
  end
  for i = #self.modules + 1, #self.output do
    self.output[i] = nil
  end
  return self.output
end

-- The sum of gradients (tensors, or tables of tensors with the same keys), kept in owner[field].
local function sum(owner, field, gradients)
  local first, kept = gradients[1], owner[field]
  if type(first) == "table" then
    local total = type(kept) == "table" and kept or {}
    for key in pairs(first) do
      local parts = {}
      for i, gradient in ipairs(gradients) do
        parts[i] = gradient[key]
      end
      sum(total, key, parts)
    end
    owner[field] = total
    return total
  end
  owner[field] = core.is_tensor(kept) and kept or nil
  local total = buffer.like(owner, field, first)
  core.copy(total, first)
  for i = 2, #gradients do
    core.binary(total, total, gradients[i], "add")
  end
  return total
end

local function collect(self, visit)
  local gradients = {}
  for i = 1, #self.modules do
    gradients[i] = not self.modules[i].isIdle and visit(i)
  end
  self.gradInput = not self.skipsGradInput and sum(self.scratch, "gradInput", gradients) or nil
  return self.gradInput
end

-- One gradient for each child.
local function checkGradOutput(self, gradOutput)
  if type(gradOutput) == "table" and #gradOutput >= #self.modules and #self.modules > 0 then return end
  argument.raise("a table of %d gradients, one a module, expected as gradOutput of %s, got %s", #self.modules,
    self.__typename, argument.describe(gradOutput))
end

function ConcatTable:updateGradInput(input, gradOutput)
  checkGradOutput(self, gradOutput)
  return collect(self, function(i)
    return self:callChild(i, "updateGradInput", input, gradOutput[i])
  end)
end

function ConcatTable:backward(input, gradOutput, scale)
  checkGradOutput(self, gradOutput)
  if self:hasOwnHalves(ConcatTable) then
    return Module.backward(self, input, gradOutput, scale)
  end
  return collect(self, function(i)
    return self:callChild(i, "backward", input, gradOutput[i], scale or 1)
  end)
end

function ConcatTable:accGradParameters(input, gradOutput, scale)
  checkGradOutput(self, gradOutput)
  for i = 1, #self.modules do
    if not self.modules[i].isIdle then
      self:accumulateChild(i, input, gradOutput[i], scale)
    end
  end
end

return ConcatTable
