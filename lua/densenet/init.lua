--- densenet: tensors, DenseNets and their training in plain Lua 5.4.
--
-- `local dn = require "densenet"` gives the table documented in constructors.lua (making tensors)
-- and below; tensors have the methods of tensor.lua, many of them functions as well (functions.lua). No global
-- is set. The larger parts are loaded when they are first asked for:
--
--     dn.nn       modules and criterions          dn.models       networks
--     dn.optim    optimizers, schedules           dn.data         data sets, transforms, loader
--     dn.train    options, trainer, checkpoints   dn.image        images and their files
--     dn.dist     processes that train together
--     dn.mlg      generated weights
--     dn.safetensors, dn.json                     files of those formats
--
-- This file is also read by Lua 5.1 to 5.3 and LuaJIT, which is how they can say what is missing:
-- no syntax of 5.4 in it.

if _VERSION ~= "Lua 5.4" then
  local running = _VERSION
  if type(jit) == "table" then running = running .. " (" .. tostring(jit.version) .. ")" end -- luacheck: ignore jit
  local script = type(arg) == "table" and arg[0] or "script.lua"
  error("densenet needs Lua 5.4, and this is " .. running .. ". Run it as: lua5.4 " .. script, 0)
end

local core = require "densenet.core"
local argument = require "densenet.argument"
local constructors = require "densenet.constructors"
local device = require "densenet.device"
local functions = require "densenet.functions"
local random = require "densenet.random"
require "densenet.tensor"

local dn = { version = core.version }
for name, constructor in pairs(constructors) do dn[name] = constructor end
for name, each in pairs(functions) do dn[name] = each end

--- True when `value` is a tensor, a freed one included.
function dn.isTensor(value) return core.is_tensor(value) end

--- Starts the default generator again: what is random afterwards depends on `seed` (an integer) only.
function dn.manualSeed(seed) random.seed(seed) end

--- The device called `name` ("cpu", "cuda:0"): a table with its name, good wherever a device is asked
-- for, and what it says of itself (device.lua).
-- @return device, or nil, message, code where there is no such device
function dn.device(name) return device.find(name) end

--- A training step as one call of the GPU: captured once, then launched (captured.lua).
-- @param action function(): the step
-- @param options device, key, uses
-- @return a step to be called, with results, graphs and free
function dn.captured(action, options) return require "densenet.captured"(action, options) end

--- A number that changes from step to step, for operations of one's own in a captured step: `read()` itself, and while
-- a step is captured a place in the GPU's memory, which is filled with read() before each launch. core.fill,
-- core.binary_scalar, core.sgd_step and core's dropout take it in a number's place.
-- @param read function() → number
function dn.graphNumber(read) return require "densenet.capture".number(read) end

--- Waits until a device (itself or its name; "cpu" when left out) has done everything it was told.
-- Raises what went wrong there meanwhile.
function dn.synchronize(on) core.synchronize(device.nameOf(on)) end

--- Memory of a device (itself or its name; "cpu" when left out): `live` and `peak` in bytes, of the
-- process; `state`, those of tensors that this Lua state has made; `limit`, as memoryLimit tells it;
-- `reserved` what the system gave for that, free blocks kept for later included, `blocks` behind the
-- live ones, `allocations` ever made. Counts what tensors and operations ask for, to the byte; not
-- Lua's own memory.
function dn.memory(on) return core.memory(device.nameOf(on)) end

--- The most bytes that tensors of this process and its operations may take on a device (itself or its
-- name; "cpu" when left out), after setting it when `nBytes` is given; 0 stands for no limit, as at first. What
-- would pass it raises, after a full collection that did not make enough room, and says how much was asked
-- for, is in use, and may be.
function dn.memoryLimit(nBytes, on)
  if nBytes ~= nil then core.memory_limit(device.nameOf(on), argument.integer(1, "memoryLimit", nBytes, 0, "bytes")) end
  return core.memory(device.nameOf(on)).limit
end

--- Threads that operations called from here may use, after setting the number when `n` is given.
function dn.threads(n) return core.threads(n) end

local parts = {
  nn = "densenet.nn",
  optim = "densenet.optim",
  models = "densenet.models",
  data = "densenet.data",
  image = "densenet.image",
  train = "densenet.train",
  mlg = "densenet.mlg",
  io = "densenet.io.init",
  dist = "densenet.dist",
  safetensors = "densenet.io.safetensors",
  json = "densenet.io.json",
}

-- A part is loaded when it is first asked for, and a name that is none raises; rawget(dn, name) asks without.
return argument.closed(dn, "dn", function(name) return parts[name] and require(parts[name]) end, parts)
