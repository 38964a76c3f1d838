--- The recipe (densenet.data.recipe) that a data set's images go through in testing, for the model that is trained on
-- them: whoever has the model's file can then show it pictures of any size.
--
-- A set whose images were made by a recipe says it (`recipe`). The images of the other sets are small and used whole,
-- so a picture of their size goes through unchanged, and another one is scaled to it.
-- @module densenet.data.set_recipe

local recipes = require "densenet.data.recipe"

-- As densenet.data.preprocess has them.
local SCALE, FILTER, CROP, ROUNDING = 256, "bicubic", 224, "up"

--- A set's recipe.
-- @param set with mean, std (0 to 255), channels, height, width, and family
-- @return a recipe; nil where its images are no squares and no recipe makes others like them
return function(set)
  if set.recipe then return recipes.validate(set.recipe) end
  local recipe = { mean = set.mean, std = set.std, range = 255, channels = set.channels }
  if set.family == "imagenet" then
    recipe.scale, recipe.filter = set.scaleSize or SCALE, set.filter or FILTER
    recipe.crop, recipe.rounding = set.imageSize or CROP, set.rounding or ROUNDING
  elseif set.height ~= set.width then
    return nil
  else
    recipe.scale, recipe.filter, recipe.crop, recipe.rounding = set.height, "bilinear", set.height, "even"
  end
  return recipes.validate(recipe)
end
