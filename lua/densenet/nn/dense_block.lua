--- A block of dense layers in one tensor: N,nInput,H,W to N,nInput + nLayers·growthRate,H,W.
--
-- Layer l reads the first C channels of X, the block's output, and writes the next growthRate; so
-- nothing is ever joined. A channel's mean and variance are taken once, when it is written, and serve
-- every norm that reads it. In backward a tensor G like X starts as gradOutput; from the last layer to
-- the first, each takes the gradient of its own channels from G and adds to those before. What a
-- norm's statistics add to the gradient of a raw channel x has the same form for every norm that reads
-- it, A + B(x − mean): the sums of A and B wait in a table, and G is touched for them once, when a
-- channel's gradient is read.
--
-- The parameters are in children called as in torchvision: denselayer1.norm1, denselayer1.conv1, ...
--
-- Source: Huang et al. 2017 (arXiv:1608.06993); Pleiss et al. 2017 (arXiv:1707.06990) for the memory
-- that a block can do without.
-- @classmod densenet.nn.DenseBlock

local argument = require "densenet.argument"
local backwardWatch = require "densenet.nn.backward_watch"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local DenseLayer = require "densenet.nn.dense_layer"
local FusedStage = require "densenet.nn.fused_stage"
local fusedChildren = require "densenet.nn.fused_children"
local syncNorm = require "densenet.nn.sync_norm"

local DenseBlock, parent = class("nn.DenseBlock", FusedStage)

local BOTTLENECK = 4 -- its channels, in growth rates
local DEFAULTS = { bottleneck = true, dropRate = 0, memory = "linear", epsilon = 1e-5, momentum = 0.1 }

local function complete(options)
  if options ~= nil then argument.table(4, "nn.DenseBlock", options, "options") end
  local given = {}
  for name, value in pairs(options or {}) do
    if DEFAULTS[name] == nil then
      argument.raise("bad argument #4 to 'nn.DenseBlock' (there is no option '%s'%s)", tostring(name),
        argument.nearest(tostring(name), DEFAULTS) .. "; there are bottleneck, dropRate, epsilon, memory, momentum")
    end
    given[name] = value
  end
  for name, value in pairs(DEFAULTS) do
    if given[name] == nil then
      given[name] = value
    elseif type(given[name]) ~= type(value) then
      argument.refuse(4, "nn.DenseBlock", given[name], "a " .. type(value), name)
    end
  end
  return given
end

--- @tparam integer nInput channels of the input
-- @tparam integer growthRate channels that a layer adds
-- @tparam integer nLayers 1 or more
-- @tparam[opt] table options
--
--    bottleneck  true: each layer goes through a 1x1 convolution to 4·growthRate channels
--    dropRate    0: dropout after each convolution
--    memory      what is kept for backward beside the output: "shared" raw and normalised
--                bottlenecks, "linear" (the default) raw ones, "minimal" nothing
--    epsilon     1e-5, added to variances
--    momentum    0.1, weight of the newest batch in the running statistics
function DenseBlock:__init(nInput, growthRate, nLayers, options)
  parent.__init(self)
  options = complete(options)
  self:checkMemory(options.memory, 4)
  nInput = argument.integer(1, "nn.DenseBlock", nInput, 1, "nInput")
  growthRate = argument.integer(2, "nn.DenseBlock", growthRate, 1, "growthRate")
  nLayers = argument.integer(3, "nn.DenseBlock", nLayers, 1, "nLayers")
  self.nInput, self.growthRate, self.memory = nInput, growthRate, options.memory
  options.nBottleneck = options.bottleneck and BOTTLENECK * growthRate or nil
  for l = 1, nLayers do
    self:add(DenseLayer(nInput + (l - 1) * growthRate, growthRate, options), "denselayer" .. l)
  end
end

--- Channels of the output.
function DenseBlock:nOutput()
  return self.nInput + #self.modules * self.growthRate
end

-- Statistics of the batch are taken where a norm will read them.
local function trainsNorms(self)
  for _, layer in ipairs(self.modules) do
    if layer:get("norm1"):usesBatch() then
      return true
    end
  end
  return false
end

-- The channels before layer l's own, and its own, of X or G (N,C_t,H,W) or of a table (rows,C_t).
local function channelsOf(self, l, whole)
  local nBefore = self.nInput + (l - 1) * self.growthRate
  return whole:narrow(2, 1, nBefore), whole:narrow(2, nBefore + 1, self.growthRate)
end

local function checkLayers(self)
  for i, layer in ipairs(self.modules) do
    fusedChildren.checkLayer(self.names[i], layer, DenseLayer)
  end
end

function DenseBlock:forwardBatch(input)
  checkLayers(self)
  if input:size(2) ~= self.nInput then
    argument.raise("input of %s; expected %d channels", buffer.sizeText(input), self.nInput)
  end
  local x = buffer.shaped(self.scratch, "output", input, input:size(1), self:nOutput(), input:size(3), input:size(4))
  local stats = trainsNorms(self) and buffer.besides(self.scratch, "stats", input, 2, self:nOutput()) or nil
  self.hasStats, self.lentGradient = stats ~= nil, nil

  local front = x:narrow(2, 1, self.nInput)
  core.copy(front, input)
  if stats then
    local own = stats:narrow(2, 1, self.nInput)
    core.channel_stats(own, front)
    syncNorm.join(self.modules[1]:get("norm1"), self.scratch, own)
  end
  local isMade = false -- is the table of the layer's first norm, by the layer before?
  for l = 1, #self.modules do
    local before, own = channelsOf(self, l, x)
    local statsBefore, statsOwn, nextNorm, nextStats
    if stats then
      statsBefore, statsOwn = channelsOf(self, l, stats)
    end
    if stats and l < #self.modules then
      nextNorm, nextStats = self.modules[l + 1]:get("norm1"), (channelsOf(self, l + 1, stats))
    end
    isMade = self:callChild(l, "grow", before, statsBefore, own, statsOwn, self.scratch, isMade, nextNorm, nextStats)
  end
  return x
end

--- The 2,C table of mean and variance of the output's channels, as the last forward took them: for the
-- module behind, which need not take them again.
-- @tparam tensor x the input of the module behind
-- @return the table; nil where x is not the block's output, or no statistics were taken
function DenseBlock:statsOf(x)
  local output = self.scratch.output
  local isRead = self.hasStats and self:isAsItsClass(DenseBlock) and output and x:isSameView(output)
  return isRead and self.scratch.stats or nil
end

local function deferredTable(self, like)
  return buffer.besides(self.scratch, "deferred", like, 3, self:nOutput())
end

--- For the module behind: lends the block its gradInput, to be changed in place as G. In return its
-- own deferred terms go into the table that this gives, and need not be added.
-- @tparam tensor x its input
-- @tparam tensor gradient N,C_t,H,W its gradInput; the block's next gradOutput is this very tensor
-- @return 3,C_t, to be overwritten; nil where x is not the block's output
function DenseBlock:borrowGradient(x, gradient)
  local output = self.scratch.output
  if not (output and x:isSameView(output) and self:isAsItsClass(DenseBlock)) then
    return nil
  end
  self.lentGradient = gradient
  return deferredTable(self, gradient)
end

-- G, and the table of deferred terms of its channels.
local function gradientBuffer(self, x, dy, field, isWhole)
  local deferred, lent = deferredTable(self, x), self.lentGradient
  self.lentGradient = nil
  if lent and not lent:isSameView(dy) then
    argument.raise("gradOutput is not the gradInput of the module that follows this block")
  elseif lent and isWhole then
    return dy, deferred
  elseif not buffer.sameSize(dy, x) then
    argument.raise("gradOutput of %s; expected %s, as the output is", buffer.sizeText(dy), buffer.sizeText(x))
  elseif lent then -- the halves of backward have to find it again
    core.deferred_apply(dy, x, deferred)
  end
  local g = buffer.like(self.scratch, field, x)
  core.copy(g, dy)
  core.fill(deferred, 0)
  return g, deferred
end

function DenseBlock:backwardBatch(_, dy, scale, field, isWhole)
  checkLayers(self)
  local x = self.scratch.output
  local g, deferred = gradientBuffer(self, x, dy, field, isWhole)
  for l = #self.modules, 1, -1 do
    if self.modules[l].isIdle then
      break -- those before it are, too
    end
    local before, own = channelsOf(self, l, x)
    local gBefore, gOwn = channelsOf(self, l, g)
    local deferredBefore, deferredOwn = channelsOf(self, l, deferred)
    self:callChild(l, "growBackward", gBefore, deferredBefore, gOwn, deferredOwn, before, own, scale, self.scratch)
    if scale then
      backwardWatch.tell(self, self.modules[l])
    end
  end
  if self.skipsGradInput then
    return nil
  end
  local dx = g:narrow(2, 1, self.nInput)
  core.deferred_apply(dx, x:narrow(2, 1, self.nInput), deferred:narrow(2, 1, self.nInput))
  return dx
end

function DenseBlock:clearState()
  self.hasStats, self.lentGradient = nil, nil
  return parent.clearState(self)
end

function DenseBlock:__tostring__()
  local nLayers, layer = #self.modules, self.modules[1]
  local bottleneck, drop = layer.nBottleneck, layer:get("drop1")
  return ("nn.DenseBlock(%d -> %d, %d %s of %d%s%s, %s memory)"):format(self.nInput, self:nOutput(), nLayers,
    nLayers == 1 and "layer" or "layers", self.growthRate, bottleneck and (", bottleneck %d"):format(bottleneck) or "",
    drop and core.format(", dropout %g", drop.p) or "", self.memory)
end

return DenseBlock
