--- torch.Timer: seconds since it was made.

local core = require "densenet.core"
local nn = require "densenet.nn"

local Timer = nn.class("torch.Timer")

function Timer:__init() self:reset() end

local function now() return core.clock(), os.clock() end

--- Starts again from 0.
function Timer:reset()
  self.real, self.cpu, self.isRunning = 0, 0, true
  self.sinceReal, self.sinceCpu = now()
  return self
end

local function elapsed(self)
  local real, cpu = now()
  if not self.isRunning then return self.real, self.cpu end
  return self.real + real - self.sinceReal, self.cpu + cpu - self.sinceCpu
end

function Timer:stop()
  self.real, self.cpu = elapsed(self)
  self.isRunning = false
  return self
end

function Timer:resume()
  if self.isRunning then return self end
  self.sinceReal, self.sinceCpu = now()
  self.isRunning = true
  return self
end

--- Seconds: `real`, and of the processor's time, all of it in `user` (Lua tells no more), `sys` being 0.
function Timer:time()
  local real, cpu = elapsed(self)
  return { real = real, user = cpu, sys = 0 }
end

return Timer
