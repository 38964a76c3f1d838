--- Random numbers as a function of (seed, stream, position), by Philox4x32-10 (src/dn_philox.h).
--
-- A generator is those three integers and nothing else, so it can be stored, restored and started
-- anywhere. Tensors are filled by reserving the positions they use, which gives the same numbers
-- for any number of threads. The default generator starts with seed 0 in every process and Lua
-- state, so an unseeded program is reproducible too.

local core = require "densenet.core"

local random = {}

local Generator = {}
Generator.__index = Generator

local function checkInteger(value, argument, name)
  local integer = math.tointeger(value)
  if not integer then
    error(("bad argument #%d to '%s' (an integer expected, got %s)"):format(argument, name, tostring(value)), 3)
  end
  return integer
end

--- A generator of its own, at position 0 of (seed, stream): two integers.
function random.generator(seed, stream)
  return setmetatable({
    seed = checkInteger(seed, 1, "generator"),
    stream = checkInteger(stream or 0, 2, "generator"),
    position = 0,
  }, Generator)
end

--- Sets n positions aside and moves past them.
-- @return seed, stream and first position of those set aside, as core's random operations take them
function Generator:reserve(n)
  n = checkInteger(n, 1, "reserve")
  if n < 0 then error("bad argument #1 to 'reserve' (0 or more expected)", 2) end
  local position = self.position
  self.position = position + n
  return self.seed, self.stream, position
end

-- 53 random bits of two words, as dn_uniform_double takes them.
local function bits53(high, low) return (high << 32 | low) >> 11 end

local function unit(high, low) return bits53(high, low) * 0x1p-53 end

--- A number in [a, b), by default [0, 1). Uses one position.
function Generator:uniform(a, b)
  a, b = a or 0, b or 1
  local high, low = core.philox(self:reserve(1))
  return a + (b - a) * unit(high, low)
end

--- An integer in 1..n, each as likely as the others; 1 <= n <= 2^53. Uses one position, more with
-- a probability below n / 2^53.
function Generator:integer(n)
  n = checkInteger(n, 1, "integer")
  if n < 1 or n > 1 << 53 then error("bad argument #1 to 'integer' (1 to 2^53 expected)", 2) end
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
  local w0, w1, w2, w3 = core.philox(self:reserve(1))
  -- 1 - u is in (0, 1], where the logarithm is finite.
  local radius = math.sqrt(-2 * math.log(1 - unit(w0, w1)))
  return (mean or 0) + (deviation or 1) * radius * math.cos(2 * math.pi * unit(w2, w3))
end

--- A list of 1..n, shuffled (Fisher and Yates).
function Generator:permutation(n)
  n = checkInteger(n, 1, "permutation")
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
  random.default.seed = checkInteger(seed, 1, "manualSeed")
  random.default.position = 0
end

--- Sets n positions of the default generator aside. @return seed, stream, position
function random.reserve(n) return random.default:reserve(n) end

--- Where the default generator is: {seed =, position =}, for a checkpoint.
function random.state() return { seed = random.default.seed, position = random.default.position } end

--- Puts the default generator where random.state found it.
function random.setState(state)
  local seed, position = math.tointeger(state.seed), math.tointeger(state.position)
  if not seed or not position then
    error("bad argument #1 to 'setState' (a table with the integers seed and position expected)", 2)
  end
  random.default.seed, random.default.position = seed, position
end

return random
