--- Torch7's global variables over densenet, for scripts written for Torch7:
--
--     lua5.4 -l densenet.torch7 main.lua -dataset cifar10
--
-- or require "densenet.torch7" at a script's start. Sets torch, nn, cudnn, cutorch, optim, paths, image and sys, and
-- lets require find those packages, threads, cunn, ffi, lfs and optnet (the last two where there are no real ones).
-- Tensors get the methods of Torch7 with Torch7's meanings, in the whole program, and new tensors are double until
-- torch.setdefaulttensortype. docs/torch7.md has what differs and what is refused.

local constructors = require "densenet.constructors"
local argument = require "densenet.argument"
local torch = require "densenet.torch7.torch"
local nn = require "densenet.torch7.nn"
local gpu = require "densenet.torch7.cudnn"
local optim = require "densenet.torch7.optim"
local paths = require "densenet.torch7.paths"
local image = require "densenet.torch7.image"
local sys = require "densenet.torch7.sys"

optim.Logger = require "densenet.torch7.logger"
constructors.setDefaultType("double")

-- lfs.dir, the one function of it that such scripts use.
local lfs = argument.closed({ dir = function(path) return paths.files(path) end }, "lfs")

local optnet = argument.closed({ optimizeMemory = function()
  io.stderr:write("optnet.optimizeMemory: buffers stay as they are; dn.models have memory modes of their own.\n")
end, removeOptimization = function() end }, "optnet")

local packages = {
  torch = torch, nn = nn, cudnn = gpu.cudnn, cunn = nn, cutorch = gpu.cutorch, optim = optim, paths = paths,
  image = image, sys = sys, threads = require "densenet.torch7.threads", ffi = require "densenet.torch7.ffi",
}
for name, package in pairs(packages) do
  _G.package.preload[name] = function() return package end
end
for name, substitute in pairs { lfs = lfs, optnet = optnet } do
  if not package.searchpath(name, package.path) and not package.searchpath(name, package.cpath) then
    package.preload[name] = function() return substitute end
  end
end
require "densenet.torch7.searcher" ()

for _, name in ipairs { "torch", "nn", "cudnn", "cutorch", "optim", "paths", "image", "sys" } do
  rawset(_G, name, packages[name])
end

-- Functions of LuaJIT and Lua 5.1 that 5.4 has under other names.
local function supply(where, names)
  for name, value in pairs(names) do
    if rawget(where, name) == nil then rawset(where, name, value) end
  end
end
supply(math, { pow = function(x, y) return x ^ y end })
supply(table, { getn = function(list) return #list end })
supply(_G, { unpack = table.unpack, loadstring = load })

return torch
