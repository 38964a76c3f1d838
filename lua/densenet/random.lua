--- Random numbers as a function of (seed, stream, position), by Philox4x32-10 (src/dn_philox.h).
--
-- A generator is those three integers and nothing else, so it can be stored, restored and started
-- anywhere. Tensors are filled by reserving the positions they use, which gives the same numbers
-- for any number of threads. The default generator starts with seed 0 in every process and Lua
-- state, so an unseeded program is reproducible too.

local argument = require "densenet.argument"
local capture = require "densenet.capture"
local core = require "densenet.core"

local random = {}

local Generator = {}
Generator.__index = Generator

--- A generator of its own, at position 0 of (seed, stream): two integers.
function random.generator(seed, stream)
  return setmetatable({
    seed = argument.integer(1, "generator", seed),
    stream = argument.integer(2, "generator", stream or 0),
    position = 0,
  }, Generator)
end

--- Sets n positions aside and moves past them.
-- @return seed, stream and first position of those set aside, as core's random operations take them
-- @raise in a captured step (densenet.captured), where the numbers would be the same at each launch
function Generator:reserve(n)
  n = argument.integer(1, "reserve", n, 0)
  capture.refuse("random numbers, but those of dropout, would be the same at each step")
  local position = self.position
  self.position = position + n
  return self.seed, self.stream, position
end

-- 53 random bits of two words, as dn_uniform_double takes them.
local function bits53(high, low) return (high << 32 | low) >> 11 end

local function unit(high, low) return bits53(high, low) * 0x1p-53 end

--- A number in [a, b), by default [0, 1). Uses one position.
function Generator:uniform(a, b)
  a, b = argument.number(1, "uniform", a or 0), argument.number(2, "uniform", b or 1)
  local high, low = core.philox(self:reserve(1))
  return a + (b - a) * unit(high, low)
end

--- An integer in 1..n, each as likely as the others; 1 <= n <= 2^53. Uses one position, more with
-- a probability below n / 2^53.
function Generator:integer(n)
  n = argument.integer(1, "integer", n, 1)
  if n > 1 << 53 then argument.refuse(1, "integer", n, "1 to 2^53") end
  local fair = (1 << 53) - (1 << 53) % n -- bits from here on would favour small results
  local bits
  repeat
    local high, low = core.philox(self:reserve(1))
    bits = bits53(high, low)
  until bits < fair
  return bits % n + 1
end

--- A normal number by Box and Muller's transform, by default of mean 0 and deviation 1. Uses one
-- position.
function Generator:normal(mean, deviation)
  mean, deviation = argument.number(1, "normal", mean or 0), argument.number(2, "normal", deviation or 1)
  local w0, w1, w2, w3 = core.philox(self:reserve(1))
  -- 1 - u is in (0, 1], where the logarithm is finite.
  local radius = math.sqrt(-2 * math.log(1 - unit(w0, w1)))
  return mean + deviation * radius * math.cos(2 * math.pi * unit(w2, w3))
end

--- A list of 1..n, shuffled (Fisher and Yates).
function Generator:permutation(n)
  n = argument.integer(1, "permutation", n, 0)
  local list = {}
  for i = 1, n do list[i] = i end
  for i = n, 2, -1 do
    local j = self:integer(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

--- The generator behind dn.randn, t:uniform, dropout and whatever names no generator.
random.default = random.generator(0, 0)

--- Starts the default generator again, with an integer.
function random.seed(seed)
  random.default.seed = argument.integer(1, "manualSeed", seed)
  random.default.position = 0
end

--- Sets n positions of the default generator aside. @return seed, stream, position
function random.reserve(n) return random.default:reserve(n) end

--- The same for masks of dropout, which a captured step draws anew at each launch.
-- @return seed, stream, position; in a captured step also what core's dropout operations are to add to the position
function random.reserveMask(n)
  local default = random.default
  local position = default.position
  default.position = position + argument.integer(1, "reserveMask", n, 0)
  local start, base = capture.start()
  return default.seed, default.stream, position - (start or 0), base
end

--- Where the default generator is: {seed =, position =}, for a checkpoint.
function random.state() return { seed = random.default.seed, position = random.default.position } end

--- Puts the default generator where random.state found it.
function random.setState(state)
  argument.table(1, "setState", state)
  local seed = argument.integer(1, "setState", state.seed, nil, "seed")
  local position = argument.integer(1, "setState", state.position, 0, "position")
  random.default.seed, random.default.position = seed, position
end

return random
