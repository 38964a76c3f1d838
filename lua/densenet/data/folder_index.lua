--- Which images a folder of folders holds, and of which classes (src/dn_folder.h): listed anew, or read from a
-- file that an earlier listing left and that is as good as ever.
--
-- Such a file is good while every folder that was listed has the times it had, which the system changes when a
-- name in it comes, goes or changes. Times count in ticks of some milliseconds, so a folder that changed just
-- before it was listed may have changed again in the same tick, and its index is not believed.
--
-- An index has, read only: root; names (byte), offsets (long), bounds (long), as dn_folder.h says; classes, a
-- list of names; notes, sentences on how it came about.
local attempt = require "densenet.attempt"
local core = require "densenet.core"
local json = require "densenet.io.json"
local safetensors = require "densenet.io.safetensors"
require "densenet.tensor"

local folderIndex = {}

local VERSION = 1
local EXTENSIONS = "jpg jpeg png ppm pgm bmp"
local TICK = 50000000 -- nanoseconds; more than a tick of any file system here
local TENSORS = { names = { "byte", 1 }, offsets = { "long", 1 }, bounds = { "long", 1 }, classes = { "byte", 1 },
  folders = { "byte", 1 }, times = { "long", 2 } }

-- The texts in a block of them, each ended by a zero byte.
local function textsOf(block)
  local list, offset = {}, 0
  local n = block:nElement()
  while offset < n do
    list[#list + 1], offset = core.text_at(block, offset)
  end
  return list
end

--- The classes of a folder, which is listed itself and nothing below it.
-- @param root the folder whose folders are the classes
-- @return list of names in the order of their bytes; or nil, message, code
function folderIndex.classes(root)
  local found, message, code = core.folder_scan(root, true)
  if not found then return nil, message, code end
  return textsOf(found.classes)
end

-- Nanoseconds since 1970, as folders' times count: those of a file written just now.
local function now(directory)
  local probe = directory .. "/time.tmp"
  local done, message, code = core.file_write(probe, "", {})
  if not done then return nil, message, code end
  local time = core.folder_times(probe)
  core.file_remove(probe)
  return time
end

-- Is nothing in the folders other than when they were listed?
local function isUnchanged(root, tensors, began)
  for i, folder in ipairs(textsOf(tensors.folders)) do
    local modified, changed = core.folder_times(folder == "" and root or root .. "/" .. folder)
    if modified ~= tensors.times:at(i, 1) or changed ~= tensors.times:at(i, 2) or changed > began - TICK then
      return false
    end
  end
  return true
end

-- What is wrong with the tensors of a file, or nil.
local function complaint(tensors)
  for name, kind in pairs(TENSORS) do
    local tensor = tensors[name]
    if not tensor or tensor:dtype() ~= kind[1] or tensor:dim() ~= kind[2] then return "lacks " .. name end
  end
  local nNames, n, nClasses = tensors.names:nElement(), tensors.offsets:nElement(), #textsOf(tensors.classes)
  local bounds = tensors.bounds
  if bounds:nElement() ~= nClasses + 1 or bounds:at(1) ~= 0 or bounds:at(nClasses + 1) ~= n then
    return "its classes and images do not fit"
  end
  for c = 1, nClasses do
    if bounds:at(c) > bounds:at(c + 1) then return "its classes overlap" end
  end
  if tensors.times:size(1) ~= #textsOf(tensors.folders) or tensors.times:size(2) ~= 2 then
    return "its folders and times do not fit"
  end
  if n == 0 then return nil end
  if tensors.names:at(nNames) ~= 0 or tensors.offsets:min() < 0 or tensors.offsets:max() >= nNames then
    return "its names do not fit"
  end
end

-- The tensors that a file keeps of `root`; or nil and, where that is worth a line, why they are of no use.
local function stored(path, root)
  if not core.file_exists(path) then return nil end
  local tensors, metadata = safetensors.load(path)
  if not tensors then return nil, metadata end
  local about = json.decode(metadata.index or "")
  if type(about) ~= "table" or math.type(about.began) ~= "integer" then
    return nil, path .. ": is no index of a folder"
  end
  if about.version ~= VERSION or about.extensions ~= EXTENSIONS or about.root ~= root then return nil end
  local fine, wrong = attempt.call(complaint, tensors)
  if not fine or wrong then return nil, ("%s: damaged: %s"):format(path, fine and wrong or "its texts do not end") end
  return isUnchanged(root, tensors, about.began) and tensors or nil
end

local function store(path, root, found, began)
  local tensors = {}
  for name in pairs(TENSORS) do tensors[name] = found[name] end
  return safetensors.save(path, tensors, { index = json.encode {
    version = VERSION, root = root, extensions = EXTENSIONS, began = began } })
end

local function indexOf(root, tensors, notes)
  return { root = root, names = tensors.names, offsets = tensors.offsets, bounds = tensors.bounds,
    classes = textsOf(tensors.classes), notes = notes }
end

--- Lists a folder, or reads its index.
-- @param root the folder whose folders are the classes
-- @param directory (optional) where the index is kept, as NAME-index.safetensors; made where it is missing
-- @param name (optional) of the index
-- @return index; or nil, message, code
function folderIndex.open(root, directory, name)
  local path, notes, began = nil, {}, nil
  if directory then
    local made, message, code = core.directory_make(directory)
    if made then began, message, code = now(directory) end
    if not began then return nil, message, code end
    path = ("%s/%s-index.safetensors"):format(directory, name)
    local real
    real, message, code = core.directory_real(root)
    if not real then return nil, message, code end
    local tensors, why = stored(path, real)
    if tensors then
      notes[1] = core.format("%d images in %d classes, as %s has them", tensors.offsets:nElement(),
        tensors.bounds:nElement() - 1, path)
      return indexOf(root, tensors, notes)
    end
    if why then notes[1] = why .. "; the folders are listed anew" end
  end
  local start = core.clock()
  local found, message, code = core.folder_scan(root)
  if not found then return nil, message, code end
  notes[#notes + 1] = core.format("%d images in %d classes, scanned in %.1f s", found.offsets:nElement(),
    found.bounds:nElement() - 1, core.clock() - start)
  if path then
    local saved
    saved, message, code = store(path, core.directory_real(root), found, began)
    if not saved then return nil, message, code end
  end
  return indexOf(root, found, notes)
end

return folderIndex
