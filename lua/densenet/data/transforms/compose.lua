--- Transforms made of transforms: one after the other, or in an order drawn anew for every image.

local transform = require "densenet.data.transforms.transform"

local function prepare(self, steps)
  transform.check(type(steps) == "table" and not transform.is(steps), self.name,
    "takes a list of transforms")
  for i, step in ipairs(steps) do
    transform.check(transform.is(step) or type(step) == "function", self.name,
      "step %d is a %s, not a transform", i, type(step))
  end
  self.steps = { table.unpack(steps) }
end

--- Compose{t1, t2, ...}: t1 first. A step may be any function(image, rng).
local Compose = transform.define("Compose", prepare, function(self, image, rng, dtype)
  for _, step in ipairs(self.steps) do image = transform.apply(step, image, rng, dtype) end
  return image
end, true)

--- RandomOrder{t1, t2, ...}: every step once, in a random order.
local RandomOrder = transform.define("RandomOrder", prepare, function(self, image, rng, dtype)
  local left = { table.unpack(self.steps) }
  while #left > 0 do
    image = transform.apply(table.remove(left, rng:integer(#left)), image, rng, dtype)
  end
  return image
end, true)

return { Compose = Compose, RandomOrder = RandomOrder }
