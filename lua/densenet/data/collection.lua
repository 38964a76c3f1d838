-- A data set whose images are made or read when they are asked for: a user's table with size() and get(i),
-- with what an ImageSet can besides. Its images are in no tensor that threads could share, so each thread of a
-- loader opens the set for itself, by its name (`worker`, see densenet.data.loader).
--
-- Fields are those of an ImageSet (densenet.data.image_set) but images and labels.
local Collection = {}
Collection.__index = Collection
Collection.__name = "densenet.Collection"

local FIELDS = { "name", "split", "classes", "nClasses", "channels", "height", "width", "mean", "std", "family",
  "directory" }

-- Images first to first + n - 1 of the user's set.
local function part(set, opening, fields, first, n)
  local self = setmetatable({ set = set, opening = opening, first = first, count = n, whole = set:size() }, Collection)
  for _, field in ipairs(FIELDS) do self[field] = fields[field] end
  self.worker = { module = "densenet.data.reopen",
    argument = { name = opening.name, options = opening.options, offset = first - 1, size = n } }
  return self
end

--- @param set what a definition's `open` gave, completed (densenet.data.definitions)
-- @param name, options it was opened with
function Collection.new(set, name, options)
  -- The size of a part is the part's, and mean and std need not be looked for again.
  local again = { split = options.split, directory = options.directory, mean = set.mean, std = set.std }
  return part(set, { name = name, options = again }, set, 1, set:size())
end

--- How many images.
function Collection:size() return self.count end

--- One image and its label, i from 1 to size(); raises outside.
function Collection:get(i)
  if math.type(i) ~= "integer" or i < 1 or i > self.count then
    error(("%s: expected an image from 1 to %d, got %s"):format(self.name, self.count, tostring(i)), 2)
  end
  return self.set:get(self.first + i - 1)
end

--- A part of the set: `n` images after the first `offset`.
function Collection:subset(offset, n) return part(self.set, self.opening, self, self.first + offset, n) end

--- One line for people: how many images of what size, and where from.
function Collection:describe()
  local n = self.count
  local some = n == self.whole and "" or (" (%d to %d of %d)"):format(self.first, self.first + n - 1, self.whole)
  return ("%s %s: %d images%s of %dx%dx%d in %d classes, from %s"):format(self.name, self.split, n, some,
    self.channels, self.height, self.width, self.nClasses, self.directory)
end

return Collection
