--- Generated weights on the command line: do the options go together, and which network do they ask for? What a run
-- does with them is in generation_run.lua.
local generationOptions = require "densenet.train.generation_options"
local mlg = require "densenet.mlg"
local core = require "densenet.core"
local optimizer = require "densenet.train.optimizer"

local generation = {}

-- Options by the fields of densenet.mlg.settings.
local FIELDS = { mlgBaseIn = "baseIn", mlgBaseOut = "baseOut", mlgBaseOutRatio = "ratio", mlgBasisBits = "basisBits",
  mlgCoeffInBits = "coeffInBits", mlgCoeffOutBits = "coeffOutBits", mlgPlainBits = "plainBits", mlgLinear = "linear",
  mlgRule = "rule" }

-- Options that ask for a packed or a dense file, of whatever network there is.
local EXPORTS = { mlgExport = true, mlgExportDense = true }

local USUAL_DECAY, USUAL_SHAPE = 5e-4, "cosine" -- of RAdam, by which factors are trained

local function optionOf(field)
  for option, each in pairs(FIELDS) do
    if each == field then return option end
  end
end

--- The settings that options say, complete.
-- @param values as options.parse returns them
-- @return table; or nil and a sentence that begins with the option at fault
function generation.settings(values)
  local given = {}
  for option, field in pairs(FIELDS) do given[field] = values[option] end
  if given.baseOut > 0 then given.ratio = 0 end
  local complete, wrong = mlg.settings.complete(given)
  if complete then return complete end
  local field, rest = wrong:match("^(%w+)(.*)$")
  return nil, ("-%s%s"):format(optionOf(field) or field, rest)
end

-- The first option of the group that was given, in order, or nil.
local function firstGiven(given)
  for _, option in ipairs(generationOptions) do
    if given[option.name] and not EXPORTS[option.name] then return option.name end
  end
end

-- What is not given of the optimizer is what factors are trained by.
local function settleOptimizer(values, given)
  if values.resume then return end
  if not given.optimizer then values.optimizer = "radam" end
  if values.optimizer ~= "radam" then return end
  if not given.weightDecay then values.weightDecay = USUAL_DECAY end
  if not given.lrShape then values.lrShape = USUAL_SHAPE end
end

local function checkExport(values)
  for name in pairs(EXPORTS) do
    if values[name] and not (values.retrain or values.resume) then
      return nil, ("-%s %s needs a trained network: -retrain FILE or -resume DIRECTORY"):format(name, values[name])
    end
  end
  return true
end

--- Do the options go together? Those that depend on others are filled in.
-- @param values as options.parse returns them; changed
-- @param given as options.parse returns them
-- @return true, or nil and a sentence
function generation.check(values, given)
  local fine, wrong = checkExport(values)
  if not fine then return nil, wrong end
  if not values.mlg then
    local name = not values.retrain and not values.resume and firstGiven(given)
    if name and name ~= "mlg" then
      return nil, ("-%s is of generated weights: it needs -mlg true"):format(name)
    end
    return true
  end
  fine, wrong = generation.settings(values)
  if not fine then return nil, wrong end
  if given.mlgBaseOut and given.mlgBaseOutRatio and values.mlgBaseOut > 0 then
    return nil, core.format("-mlgBaseOut %d and -mlgBaseOutRatio %g say the same thing: give one of them",
      values.mlgBaseOut, values.mlgBaseOutRatio)
  end
  if not values.teacher then
    if given.distill and values.distill > 0 then
      return nil, core.format("-distill %g needs the outputs of -teacher FILE", values.distill)
    end
    for _, name in ipairs { "mlgProjection", "mlgProjectionSteps", "temperature" } do
      if given[name] and not values.resume then return nil, ("-%s needs -teacher FILE"):format(name) end
    end
    values.distill = 0
  end
  settleOptimizer(values, given)
  return true
end

--- Joins the options with the network of -retrain, whose weights are generated or not: what was given must not differ,
-- and the rest becomes what the network has.
-- @param values as options.parse returns them; changed
-- @param given as options.parse returns them
-- @param network configuration of the file's network, or nil where it says none
-- @return true, or nil and a sentence
function generation.join(values, given, network)
  local has = network and network.mlg
  if not has then
    local name = firstGiven(given)
    if values.mlg then
      return nil, ("-mlg true, but the weights in -retrain %s are ordinary ones; -teacher %s makes generated ones of "
        .. "them"):format(values.retrain, values.retrain)
    elseif name and name ~= "mlg" then
      return nil, ("-%s is of generated weights, and those in -retrain %s are ordinary ones"):format(name,
        values.retrain)
    end
    return true
  end
  for _, option in ipairs(generationOptions) do
    local field = FIELDS[option.name]
    local isOff = field == "ratio" and values.mlgBaseOut > 0
    if field and given[option.name] and not isOff and values[option.name] ~= has[field] then
      local function text(value) return type(value) == "number" and core.format("%g", value) or tostring(value) end
      return nil, ("-%s %s, but the network in -retrain %s has %s (%s)"):format(option.name, text(values[option.name]),
        values.retrain, text(has[field]), mlg.settings.text(has))
    end
  end
  if given.mlg and not values.mlg then
    return nil, ("-mlg false, but the weights in -retrain %s are generated (%s); -mlgExportDense FILE makes ordinary "
      .. "ones of them"):format(values.retrain, mlg.settings.text(has))
  end
  if values.resetClassifier then
    return nil, ("-resetClassifier true, but the weights in -retrain %s are generated"):format(values.retrain)
  end
  for option, field in pairs(FIELDS) do values[option] = has[field] end
  values.mlg = true
  local fine, wrong = generation.check(values, given)
  if not fine then return nil, wrong end
  return optimizer.settle(values, given)
end

return generation
