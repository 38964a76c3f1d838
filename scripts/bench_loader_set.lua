--- The data set of bench_loader.lua: a few image files over and over, with what a FolderSet answers a loader.
-- @param argument { paths = list of files, size = how many images that makes }
return function(argument)
  local set = { channels = 3 }

  local function path(i) return argument.paths[(i - 1) % #argument.paths + 1] end

  function set.size() return argument.size end

  function set:get(i)
    local input, message, code = require "densenet.image".load(path(i), { channels = self.channels })
    if not input then return nil, message, code end
    return { input = input, target = 1 }
  end

  function set.readWith(_, i, read)
    local made, message, code = read(path(i))
    if not made then return nil, message, code end
    return made, 1
  end

  return set
end
