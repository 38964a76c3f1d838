-- FromModule(name [, argument]): a transform of your own that also works in worker threads.
-- require(name)(argument) gives the function(image, rng); the argument consists of plain values
-- and tensors. The module is looked for on package.path, in every thread anew.

local transform = require "densenet.data.transforms.transform"

return transform.define("FromModule", function(self, name, argument)
  transform.check(type(name) == "string", self.name, "takes the name of a module")
  local make = require(name)
  transform.check(type(make) == "function", self.name,
    "module %s must return a function that makes the transform, not a %s", name, type(make))
  self.apply = make(argument)
  transform.check(type(self.apply) == "function" or type(self.apply) == "table", self.name,
    "module %s made a %s, not a transform", name, type(self.apply))
end, function(self, image, rng, dtype) return transform.apply(self.apply, image, rng, dtype) end)
