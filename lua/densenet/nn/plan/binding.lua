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
      call()
    end
    return method(object, ...)
  end
  self.replaced[name] = { own = rawget(module, name), wrapper = wrapper }
  ownMethods.wrap(module, name, wrapper)
end

local function guard(self)
  if not self.plan.callsHalves then
    before(self, "updateGradInput", function() self:separateGradients() end)
  end
  if self.plan.sharesForward then
    before(self, "backward", function()
      if self.isSpent then
        error(("backward a second time after one forward: with optMemory %d, what the forward left is overwritten "
          .. "by then; call forward again"):format(self.plan.mode), 3)
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

--- Takes the module's buffers away and gives their memory back at once.
function Binding:release()
  local module = self.plan.module
  for name, replaced in pairs(self.replaced) do
    if rawget(module, name) == replaced.wrapper then -- else somebody has put another method over it
      module[name] = replaced.own
    end
  end
  self.replaced = {}
  binding.clear(module)
end

--- Takes a module's buffers away and gives their memory back at once.
function binding.clear(module)
  module:apply(function(each) each:clearState() end)
  collectgarbage()
  collectgarbage() -- views keep an arena until they are finalized
end

--- Binds a plan to its module, which has no buffers.
-- @param plan densenet.nn.MemoryPlan
-- @treturn table binding: holds(), release(), isSpent (to be set to false where a forward begins)
-- @raise when the memory lacks
function binding.new(plan)
  local module = plan.module
  local self = setmetatable({
    plan = plan, device = module._device, tensors = {}, replaced = {}, isSpent = false,
  }, Binding)
  local arena = core.tensor_new(self.device, "byte", { plan.arenaBytes })
  for i, row in ipairs(plan.placed) do
    self.tensors[i] = core.tensor_at(arena, row.offset, row.dtype, row.size)
    buffer.confine(ownerOf(row), row.field, self.tensors[i])
  end
  guard(self)
  return self
end

return binding
