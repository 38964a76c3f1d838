--- The parent of poolings to a size: their windows. Window i of n over `size` positions goes from
-- ⌊(i − 1) · size / n⌋ + 1 to ⌈i · size / n⌉; neighbours overlap where n does not divide size.
-- @classmod densenet.nn.SpatialAdaptivePooling

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialAdaptivePooling, parent = class("nn.SpatialAdaptivePooling", ImageModule)

--- @tparam integer W columns of the output
-- @tparam integer H lines of the output
function SpatialAdaptivePooling:__init(W, H)
  parent.__init(self)
  self.W = argument.integer(1, self.__typename, W, 1, "W")
  self.H = argument.integer(2, self.__typename, H, 1, "H")
end

--- Calls visit(i, first, length) for each of n windows over `size` positions.
function SpatialAdaptivePooling.eachWindow(n, size, visit)
  for i = 1, n do
    local first = (i - 1) * size // n + 1
    local last = (i * size + n - 1) // n
    visit(i, first, last - first + 1)
  end
end

function SpatialAdaptivePooling:__tostring__()
  return ("%s(%dx%d)"):format(self.__typename, self.W, self.H)
end

return SpatialAdaptivePooling
