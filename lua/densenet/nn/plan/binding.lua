--- A plan's buffers put into a module: one arena, and a view of it in every field that the plan names.
--
-- Buffers that share bytes are right for the steps that were traced. What else a caller may do is seen
-- here: the halves of `backward` called apart read gradients later than `backward` does, so those
-- buffers then leave the arena; a second `backward` after one `forward` finds its input gone, and is
-- refused.
-- @module densenet.nn.plan.binding

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local ownMethods = require "densenet.nn.own_methods"

local binding = {}

local Binding = {}
Binding.__index = Binding

local function ownerOf(row)
  local owner = row.module
  for _, key in ipairs(row.keys) do
    owner[key] = owner[key] or {}
    owner = owner[key]
  end
  return owner
end

-- Puts call(module, ...) before a method of this one object; its copies keep the method as it was.
local function before(self, name, call)
  local module, method = self.plan.module, self.plan.module[name]
  local function wrapper(object, ...)
    if object == module and self.replaced[name] then
      call(...)
    end
    return method(object, ...)
  end
  self.replaced[name] = { own = rawget(module, name), wrapper = wrapper }
  ownMethods.wrap(module, name, wrapper)
end

local HALVES = { "backward", "updateGradInput", "accGradParameters" }

local function guard(self)
  local plan = self.plan
  if plan.isOfEvaluation then
    for _, name in ipairs(HALVES) do
      before(self, name, function(input) self.leave(input) end)
    end
    return
  end
  if not plan.callsHalves then
    before(self, "updateGradInput", function() self:separateGradients() end)
  end
  if plan.sharesForward then
    before(self, "backward", function()
      if self.isSpent then
        error(("backward a second time after one forward: with optMemory %d, what the forward left is overwritten "
          .. "by then; call forward again"):format(plan.mode), 3)
      end
      self.isSpent = true
    end)
  end
end

-- Gradients each get a tensor of their own.
function Binding:separateGradients()
  if self.areGradientsApart then
    return
  end
  self.areGradientsApart = true
  for _, row in ipairs(self.plan.placed) do
    if row.isBackward then
      ownerOf(row)[row.field] = core.tensor_new(self.device, row.dtype, { 0 })
    end
  end
end

--- Are the plan's tensors where it put them? They are not after clearState, or an input too large.
function Binding:holds()
  for i, row in ipairs(self.plan.placed) do
    if ownerOf(row)[row.field] ~= self.tensors[i] and not (self.areGradientsApart and row.isBackward) then
      return false
    end
  end
  return true
end

--- Puts the plan's tensors into the module's fields, and guards over its methods.
function Binding:enter()
  self.areGradientsApart, self.isSpent, self.evaluation = false, false, { nAtOnce = self.plan.nAtOnce }
  for i, row in ipairs(self.plan.placed) do
    buffer.confine(ownerOf(row), row.field, self.tensors[i])
  end
  if next(self.replaced) == nil then guard(self) end
end

--- Takes the guards away; the tensors stay in the module's fields.
function Binding:exit()
  local module = self.plan.module
  for name, replaced in pairs(self.replaced) do
    if rawget(module, name) == replaced.wrapper then -- else somebody has put another method over it
      module[name] = replaced.own
    end
  end
  self.replaced = {}
end

--- Takes a module's buffers away and gives their memory back at once.
function binding.clear(module)
  module:apply(function(each) each:clearState() end)
  collectgarbage()
  collectgarbage() -- views keep an arena until they are finalized
end

-- The modules inside one whose `output` is no tensor of the plan's own.
local function innerModules(plan)
  local isPlaced, inner = { [plan.module] = true }, {}
  for _, row in ipairs(plan.placed) do
    if #row.keys == 0 and row.field == "output" then isPlaced[row.module] = true end
  end
  plan.module:apply(function(module)
    if not isPlaced[module] then inner[#inner + 1] = module end
  end)
  return inner
end

--- Tensors for a plan's buffers. They are put into its module by `enter`.
-- @param plan densenet.nn.MemoryPlan
-- @tparam tensor arena bytes, as many as plan.arenaBytes or more
-- @tparam function leave what a plan for evaluation calls with the input before the module's backward
-- @treturn table binding: enter(), exit(), holds(), isSpent (to be set to false where a forward begins)
function binding.new(plan, arena, leave)
  local self = setmetatable({
    plan = plan, arena = arena, device = arena:device(), tensors = {}, replaced = {}, isSpent = false, leave = leave,
    inner = plan.isOfEvaluation and innerModules(plan) or nil,
  }, Binding)
  for i, row in ipairs(plan.placed) do
    self.tensors[i] = core.tensor_at(arena, row.offset, row.dtype, row.size)
  end
  return self
end

return binding
