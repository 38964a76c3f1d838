--- Gives the layers of a network generated weights.
-- @module densenet.mlg.convert

local argument = require "densenet.argument"
local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local Linear = require "densenet.nn.linear"
local MLGConvolution = require "densenet.nn.mlg_convolution"
local MLGLinear = require "densenet.nn.mlg_linear"
local SpatialConvolution = require "densenet.nn.spatial_convolution"
local ownMethods = require "densenet.nn.own_methods"
local trained = require "densenet.nn.trained"
local latent = require "densenet.mlg.latent"
local settings = require "densenet.mlg.settings"
local tree = require "densenet.mlg.tree"

local METHODS = { "updateOutput", "updateGradInput", "accGradParameters", "backward", "parameters", "forwardBatch",
  "gradInputBatch", "accumulateBatch" }

local kinds = {
  ["nn.SpatialConvolution"] = { class = SpatialConvolution, isConvolution = true,
    nInputs = function(old) return old.nInputPlane // old.groups end,
    make = function(old, factors)
      return MLGConvolution(old.nInputPlane, old.nOutputPlane, old.kW, old.kH, old.dW, old.dH, old.padW, old.padH,
        old.groups, factors)
    end },
  ["nn.Linear"] = { class = Linear, isConvolution = false, nInputs = function(old) return old.nInputs end,
    make = function(old, factors) return MLGLinear(old.nInputs, old.nOutputs, old.bias ~= nil, factors) end },
}

local function check(old, path, seen)
  local method = ownMethods.overridden(old, kinds[old.__typename].class, METHODS)
  local name = path:gsub("%.$", "")
  if method then
    argument.raise("mlg.convert: %s (%s) has another %s than its class's, which would be lost", name, old.__typename,
      method)
  elseif old.frozen then
    argument.raise("mlg.convert: %s (%s) is frozen; convert first, and freeze then", name, old.__typename)
  elseif seen[old.weight] then
    argument.raise("mlg.convert: %s and %s share their weight, and factors cannot share what it is made of",
      seen[old.weight], name)
  end
  seen[old.weight] = name
end

-- The module in a layer's place: its geometry, bias and mode; and what of its weight a plain one can have.
local function replacement(old, kind, factors)
  local new = kind.make(old, factors)
  if not old.bias then new:noBias() end
  new:type(old:activationType()):to(old._device)
  new.train = old.train
  if not old.gradInput then new.gradInput = nil end
  if old.bias then core.copy(new.bias, old.bias) end
  if not new.coeffIn and not new.coeffOut then latent.copy(new.basis, old.weight, new.factorBits[1]) end
  return new
end

--- Replaces the convolutions and linear layers of a tree, wherever they are, by modules with generated or quantised
-- weights, as settings say; names stay. Modules of other classes, nn.SpatialConvolution's own subclasses included,
-- stay. A generated layer starts with random factors (densenet.mlg.project gives it those of a trained weight), a
-- quantised one with its weight, rounded. Optimizers and getParameters' vectors of before do not know of it.
-- @param model a module; model.config, where it has one, says the settings from then on
-- @tparam[opt] table given see densenet.mlg.settings
-- @return the model; another module where the model itself is such a layer
-- @treturn table generated and quantized: how many layers became what; convolutions: how many there are
-- @raise one sentence, where a setting is wrong, or a layer frozen, shared or overridden
return function(model, given)
  if type(model) ~= "table" or not model.updateOutput then argument.refuse(1, "convert", model, "a module") end
  local of, wrong = settings.complete(given or {})
  if not of then argument.raise("bad argument #2 to 'convert' (%s)", wrong) end
  local counts, found, seen = { generated = 0, quantized = 0, convolutions = 0 }, {}, {}
  tree.walk(model, function(module, path, container, i)
    local kind = kinds[module.__typename]
    if kind then
      check(module, path, seen)
      found[#found + 1] = { module = module, kind = kind, container = container, i = i }
    elseif generatedWeight.is(module) then
      argument.raise("mlg.convert: %s is an %s already", path:gsub("%.$", ""), module.__typename)
    end
  end)
  local root, newOf = model, {}
  for _, place in ipairs(found) do
    local old, kind = place.module, place.kind
    local nTaps = kind.isConvolution and old.kH * old.kW or 1
    local isGrouped = kind.isConvolution and old.groups > 1
    local factors, isGenerated = settings.factorsOf(of, old.weight:size(1), kind.nInputs(old), nTaps,
      kind.isConvolution)
    if isGrouped and isGenerated then
      factors, isGenerated = of.plainBits < 32 and { basisBits = of.plainBits } or nil, false
    end
    counts.convolutions = counts.convolutions + (kind.isConvolution and 1 or 0)
    if factors then
      newOf[old] = replacement(old, kind, factors)
      local what = isGenerated and "generated" or "quantized"
      counts[what] = counts[what] + 1
    end
    if not place.container then root = newOf[old] or old end
  end
  root:apply(function(module)
    for i, child in ipairs(module.modules or {}) do module.modules[i] = newOf[child] or child end
  end)
  if root.config then root.config.mlg = of end
  trained.forget()
  return root, counts
end
