--- The pictures that a command line names: files, and directories that stand for all pictures in them.
-- @module densenet.data.picture_files

local core = require "densenet.core"

local pictureFiles = {}

local EXTENSIONS = { jpg = true, jpeg = true, png = true, ppm = true, pgm = true, bmp = true }
local DEEPEST = 32 -- folders inside folders; links may go in circles

local function isPicture(name) return EXTENSIONS[(name:match("%.(%w+)$") or ""):lower()] ~= nil end

-- Appends the pictures of a directory. `folder` is the first name of the way to them.
local function walk(list, directory, folder, depth)
  for _, name in ipairs(core.directory_list(directory)) do
    local path = (directory == "/" and "" or directory) .. "/" .. name
    local isHidden = name:sub(1, 1) == "."
    if not isHidden and core.directory_list(path) then
      if depth < DEEPEST then walk(list, path, folder or name, depth + 1) end
    elseif not isHidden and isPicture(name) then
      list[#list + 1] = { path = path, folder = folder }
    end
  end
end

--- @tparam table words paths of files and directories
-- @treturn table list of { path =, folder = name of the directory right below the one that was named, or nil }, in the
-- order of the words and of the names' bytes; or nil and a sentence for a directory without pictures. A file is
-- taken as it is, and need not be there
function pictureFiles.find(words)
  local list = {}
  for _, word in ipairs(words) do
    if core.directory_list(word) then
      local before = #list
      walk(list, #word > 1 and word:gsub("/+$", "") or word, nil, 1)
      if #list == before then
        return nil, ("%s: expected pictures (jpg, jpeg, png, ppm, pgm, bmp), got a directory without any"):format(word)
      end
    else
      list[#list + 1] = { path = word }
    end
  end
  return list
end

--- Gives each picture its class's number as `target`, where the folders of all pictures are classes of a network.
-- @tparam table list from find; changed
-- @tparam table classes list of names
-- @treturn boolean are they?
function pictureFiles.label(list, classes)
  local numbers, targets = {}, {}
  for i, name in ipairs(classes) do numbers[name] = numbers[name] or i end
  for i, each in ipairs(list) do
    targets[i] = each.folder and numbers[each.folder]
    if not targets[i] then return false end
  end
  for i, each in ipairs(list) do each.target = targets[i] end
  return #list > 0
end

return pictureFiles
