--- Mean and deviation of each channel of a folder's images, on the scale 0 to 255. Every image counts alike,
-- whatever its size. Of a large folder some of the images are looked at, evenly spread over it.
local core = require "densenet.core"
local ImageSet = require "densenet.data.image_set"

local MOST_IMAGES = 2000
local SECONDS_A_LINE = 10

-- Of one image: mean and mean of squares, added to sums.
local function add(sums, squares, picture)
  local size = picture:size()
  local mean, std = ImageSet.statistics(picture:view(1, size[1], size[2], size[3]))
  for c = 1, size[1] do
    sums[c] = (sums[c] or 0) + mean[c]
    squares[c] = (squares[c] or 0) + std[c] ^ 2 + mean[c] ^ 2
  end
end

--- @param set a FolderSet of training images
-- @param report (optional) function(line), called from time to time and at the end
-- @return two lists of numbers; or nil, message, code for an image that cannot be read
return function(set, report)
  local size = set:size()
  local n = math.min(size, MOST_IMAGES)
  local sums, squares = {}, {}
  local start = core.clock()
  local said = start
  for k = 1, n do
    local sample, message, code = set:get((k - 1) * size // n + 1)
    if not sample then return nil, message, code end
    add(sums, squares, sample.input)
    local now = core.clock()
    if report and now - said > SECONDS_A_LINE then
      said = now
      report(("mean and deviation: %d of %d images"):format(k, n))
    end
  end
  local mean, std = {}, {}
  for c, sum in ipairs(sums) do
    mean[c] = sum / n
    std[c] = math.sqrt(math.max(0, squares[c] / n - mean[c] ^ 2))
    if std[c] == 0 then std[c] = 1 end -- images without a difference in a channel
  end
  if report then
    report(core.format("mean and deviation from %s images, in %.1f s", n < size and ("%d of %d"):format(n, size)
      or "all " .. n, core.clock() - start))
  end
  return mean, std
end
