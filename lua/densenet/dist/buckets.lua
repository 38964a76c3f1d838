--- The flat vector of a network's gradients, cut into buckets, each of which is added up over the ranks as soon as the
-- backward pass has finished with it.
--
-- The vector is in the order of the forward pass, and backward goes from its end; so buckets are cut from the end, at
-- the borders of stages: whatever nn.Sequential and nn.DenseBlock call one after the other. All ranks start them in
-- this order. Parameters that stand outside of such stages, or in several, are complete when the whole backward pass
-- is.
-- @classmod densenet.dist.Buckets

local argument = require "densenet.argument"
local backwardWatch = require "densenet.nn.backward_watch"
local core = require "densenet.core"
local flat = require "densenet.nn.flat_parameters"
local DenseBlock = require "densenet.nn.dense_block"
local ownMethods = require "densenet.nn.own_methods"
local Sequential = require "densenet.nn.sequential"
local trained = require "densenet.nn.trained"

local Buckets = {}
Buckets.__index = Buckets

-- ---- Stages ----

local PASSES = { "backward", "updateGradInput", "accGradParameters", "parameters" }

-- Does it call its children one after the other, and tell?
local function tells(module)
  for _, class in ipairs { Sequential, DenseBlock } do
    if getmetatable(module) == class and not ownMethods.overridden(module, class, PASSES) then return true end
  end
  return false
end

-- How often each module stands in the tree.
local function countPlaces(model)
  local places = {}
  model:apply(function(module) places[module] = (places[module] or 0) + 1 end)
  return places
end

-- Stages, and of which one each module inside is: { [module] = stage } for stages that a container tells of.
local function findStages(model, places)
  local stages, stageOf, containers = {}, {}, {}
  local function visit(container)
    containers[#containers + 1] = container
    for _, child in ipairs(container.modules) do
      if tells(child) and places[child] == 1 then
        visit(child)
      elseif places[child] == 1 then
        stages[child] = true
        child:apply(function(inner) stageOf[inner] = places[inner] == 1 and child or nil end)
      end
    end
  end
  if tells(model) then visit(model) end
  return stages, stageOf, containers
end

-- ---- Buckets ----

-- The stages that add to a parameter's gradient: a list; nil where that cannot be known before the end.
local function stagesOf(parameter, stageOf)
  local list = {}
  for _, one in ipairs { parameter, table.unpack(parameter.others) } do
    local stage = one.owner and stageOf[one.owner]
    if not stage then return nil end
    list[#list + 1] = stage
  end
  return list
end

-- Cuts the vector: list of { tensor=, stages= a set, isLate=, nWaiting= }, from its end.
local function cut(model, gradient, stageOf, nLeast)
  local list, buckets = trained.of(model), {}
  local last, bucket = gradient:nElement(), nil
  for i = #list, 1, -1 do
    local first = list[i].gradient:storageOffset() -- the room before it goes with the bucket before
    bucket = bucket or { stages = {} }
    local stages = stagesOf(list[i], stageOf)
    if not stages then bucket.isLate = true end
    for _, stage in ipairs(stages or {}) do bucket.stages[stage] = true end
    local before = i > 1 and stagesOf(list[i - 1], stageOf)
    local isBorder = not (stages and before and before[1] == stages[1])
    if i == 1 or isBorder and last - first + 1 >= nLeast then
      bucket.tensor = gradient:narrow(1, first, last - first + 1)
      buckets[#buckets + 1] = bucket
      last, bucket = first - 1, nil
    end
  end
  return buckets
end

--- Cuts a model's gradients, and watches its backward passes.
-- @param model any module with trained parameters; their gradients become one vector where they are not
-- (nn.flat_parameters)
-- @param comm densenet.dist.Comm
-- @tparam number nBytes the least of a bucket
-- @return buckets
function Buckets.new(model, comm, nBytes)
  local self = setmetatable({ model = model, comm = comm, isPaused = false }, Buckets)
  self.gradient = select(2, flat.vectors(model, "dist.attach"))
  local elementBytes = self.gradient:dtype() == "double" and 8 or 4
  local stages, stageOf, containers = findStages(model, countPlaces(model))
  self.containers, self.ofStage = containers, {}
  self.list = cut(model, self.gradient, stageOf, math.max(1, nBytes // elementBytes))
  for stage in pairs(stages) do self.ofStage[stage] = {} end
  for _, bucket in ipairs(self.list) do
    for stage in pairs(bucket.stages) do table.insert(self.ofStage[stage], bucket) end
  end
  for _, container in ipairs(containers) do
    backwardWatch.set(container, function(child) self:completed(child) end)
  end
  self:reset()
  return self
end

--- Nothing has been computed yet.
function Buckets:reset()
  self.nStarted, self.done = 0, {}
  for _, bucket in ipairs(self.list) do
    bucket.nWaiting = bucket.isLate and 1 or 0
    for _ in pairs(bucket.stages) do bucket.nWaiting = bucket.nWaiting + 1 end
  end
end

-- Starts those that come next and are complete.
local function start(self)
  while self.nStarted < #self.list and self.list[self.nStarted + 1].nWaiting == 0 do
    self.nStarted = self.nStarted + 1
    self.comm:allReduceStart(self.list[self.nStarted].tensor)
  end
end

--- A stage has added to its gradients.
function Buckets:completed(stage)
  local buckets = self.ofStage[stage]
  if not buckets or self.isPaused then return end
  if self.done[stage] then
    argument.raise("a second backward pass before sync:wait(): the gradients of the first are being "
      .. "added up; to add several "
      .. "passes first, call sync:pause() before and sync:resume() before the last one")
  end
  self.done[stage] = true
  for _, bucket in ipairs(buckets) do bucket.nWaiting = bucket.nWaiting - 1 end
  start(self)
end

local function checkPlace(self)
  local first = trained.of(self.model)[1]
  if not first or core.storage_key(trained.gradient(first)) ~= core.storage_key(self.gradient) then
    argument.raise("the gradients have moved since dist.attach (getParameters, another type or "
      .. "device, freeze): attach again")
  end
end

--- Starts what is left, and waits for all: the gradients are those of all ranks.
function Buckets:finish()
  checkPlace(self)
  for _, bucket in ipairs(self.list) do bucket.nWaiting = 0 end
  start(self)
  self.comm:join()
  self:reset()
end

--- Watches no more.
function Buckets:close()
  for _, container in ipairs(self.containers) do backwardWatch.set(container, nil) end
end

return Buckets
