--- What happens before a forward: a network that models.fromConfig built with an optMemory above 0 gets a plan for
-- inputs of that size, for training or for evaluation (densenet.nn.evaluation.suits), unless it has one that does.
-- Other evaluations go without a plan until training has made one.
-- @module densenet.nn.plan.prepare

local attempt = require "densenet.attempt"
local core = require "densenet.core"
local evaluation = require "densenet.nn.evaluation"
local inForce = require "densenet.nn.plan.in_force"
local MemoryPlan = require "densenet.nn.memory_plan"
local shadow = require "densenet.nn.plan.shadow"
local trace = require "densenet.nn.plan.trace"

-- The sentence of an error, without the traceback that a container added.
local function reasonOf(failure)
  return (tostring(failure):gsub("\nstack traceback:.*", ""))
end

-- Networks that are evaluated without a plan of their own, although they could be, until they are trained: module →
-- true, where somebody wants gradients, or the input and the state of the modules that could not be planned.
local unplanned = setmetatable({}, { __mode = "k" })

-- The plan of a kind that does for an input, active or not.
local function suitable(module, kind, mode, input)
  local plan = inForce.of(module, kind)
  return plan and plan:isFor(mode, input:dtype()) and plan:fits(input:size()) and plan or nil
end

local function describe(module, input)
  return table.concat(input:size(), "x") .. input:dtype() .. trace.signature(module)
end

local function newPlan(module, input, mode, isOfEvaluation)
  local isPlanned, plan = attempt.call(MemoryPlan, module, input:size(),
    { optMemory = mode, type = input:dtype(), evaluate = isOfEvaluation })
  if isPlanned then plan.record = nil end -- it is as large as all rows
  return isPlanned and plan, plan
end

-- Somebody wants gradients of an evaluation, for which its plan has no room: it is done again, by a plan for
-- training where there is one, else without.
local function leaver(module, mode)
  return function(input)
    unplanned[module] = true
    local plan = suitable(module, "training", mode, input)
    if plan then
      inForce.activate(plan)
    else
      inForce.release(module)
    end
    module:updateOutput(input)
  end
end

-- The plan by which an input is evaluated, active; nil where there is none.
local function prepareEvaluation(module, input, mode)
  local plan = suitable(module, "evaluation", mode, input)
  if not plan then
    plan = newPlan(module, input, mode, true)
    if not (plan and plan:isFor(mode, input:dtype())) then -- a module inside may be in training mode
      unplanned[module] = describe(module, input)
      return nil
    end
  end
  if inForce.active(module) ~= plan or not plan.binding:holds() then
    inForce.activate(plan, leaver(module, mode))
  end
  return plan
end

-- Evaluation with what training has left, or with buffers of the modules' own.
local function evaluateUnplanned(module, input, mode)
  local active = inForce.active(module)
  if active and active.isOfEvaluation then
    local plan = not module.keepsOutputs and suitable(module, "training", mode, input)
    if plan then
      inForce.activate(plan)
    else
      inForce.release(module)
    end
    active = plan
  end
  if active and active:isFor(mode, input:dtype()) then
    active.binding.isSpent = false
  elseif active then
    inForce.release(module)
  end
end

-- Why a step could not be planned, now or before (`planFailure`).
local function prepareTraining(module, input, mode)
  local plan = suitable(module, "training", mode, input)
  if not plan then
    if module.planFailure then
      return module.planFailure -- not asked again until its buffers are given up
    end
    local failure
    plan, failure = newPlan(module, input, mode, false)
    if not plan then
      if inForce.active(module) then inForce.release(module) end
      return reasonOf(failure)
    end
  end
  if inForce.active(module) ~= plan or not plan.binding:holds() then inForce.activate(plan) end
  plan.binding.isSpent = false
end

--- @param module any
-- @param input whatever the forward gets
-- @tparam boolean isOutermost nobody else's forward is under way
-- @treturn ?string why the module could not be planned; where the input is to blame, the forward itself says what is
-- wrong with it, and better
-- @treturn ?table the plan for evaluation by which the input is to be evaluated
return function(module, input, isOutermost)
  local active, mode = inForce.active(module), nil
  local isConfigured = type(module.config) == "table" and module.config.optMemory
  if isConfigured then
    mode = module.config.optMemory
  elseif active then
    mode = active.mode
  end
  if not mode or not core.is_tensor(input) or shadow.isShadow(module) then return end
  if module.train and mode > 0 then
    unplanned[module] = nil
    return prepareTraining(module, input, mode)
  end
  local reason = unplanned[module]
  local isPlanned = not module.train and isConfigured and isOutermost and not module.keepsOutputs
    and evaluation.suits(module, mode) and reason ~= true and not (reason and reason == describe(module, input))
  local plan = isPlanned and prepareEvaluation(module, input, mode) or nil
  if plan then return nil, plan end
  evaluateUnplanned(module, input, mode)
end
