--- Images of your own: folders of folders. `-dataset imagenet -data DIR` on a command line, with
--
--    DIR/train/<class>/**     to train on
--    DIR/val/<class>/**       (or DIR/valid) to test on
--    DIR/test/<class>/**      (optional) then val chooses the best network, and this one tests it
--
-- and data.folder(path) in a script, for one folder of classes. Names of folders in the order of their bytes are the
-- classes, and class i is label i; what counts as an image is said in src/dn_folder.h.
local argument = require "densenet.argument"
local core = require "densenet.core"
local FolderSet = require "densenet.data.folder_set"
local folderIndex = require "densenet.data.folder_index"
local folderStatistics = require "densenet.data.folder_statistics"

local folder = {}

local SPLITS = { train = { "train" }, val = { "val", "valid" }, test = { "test" } }
local IMAGE_SIZE, SCALE_SIZE = 224, 256
local LARGEST_SIZE = 4096
local IMAGENET_CLASSES = 1000 -- named by synsets: n01440764
local IMAGENET_MEAN, IMAGENET_STD = { 0.485 * 255, 0.456 * 255, 0.406 * 255 }, { 0.229 * 255, 0.224 * 255, 0.225 * 255 }
local LARGE = 64 -- pixels from which images want the first layers of ImageNet's networks

local LAYOUT = "expected %s/train/<class>/<image> and %s/val/<class>/<image>"

local OPTIONS = { imageSize = true, scaleSize = true, filter = true, channels = true, index = true, badImages = true,
  classes = true, report = true, minArea = true, mirror = true, fastDecode = true }

-- ---- What is asked for ----

local function isPixels(value) return math.type(value) == "integer" and value >= 1 and value <= LARGEST_SIZE end

-- What is wrong with the options that are a folder's own, or nil.
local function complaint(options)
  for _, name in ipairs { "imageSize", "scaleSize" } do
    local value = options[name]
    if value ~= nil and not isPixels(value) then
      return core.format("%s: expected 1 to %d pixels, got %s", name, LARGEST_SIZE, value)
    end
  end
  local filter, channels, bad = options.filter, options.channels, options.badImages
  if filter ~= nil and filter ~= "bilinear" and filter ~= "bicubic" and filter ~= "torch" then
    return core.format("filter: expected bicubic, bilinear or torch, got %s", filter)
  end
  if channels ~= nil and channels ~= 1 and channels ~= 3 then
    return core.format("channels: expected 3, or 1 for grey, got %s", channels)
  end
  local area, mirror = options.minArea, options.mirror
  if area ~= nil and not (type(area) == "number" and area > 0 and area <= 1) then
    return core.format("minArea: expected a number above 0 and up to 1, got %s", area)
  end
  if mirror ~= nil and type(mirror) ~= "boolean" then
    return core.format("mirror: expected true or false, got %s", mirror)
  end
  if bad ~= nil and bad ~= "error" and bad ~= "skip" then
    return core.format("badImages: expected error or skip, got %s", bad)
  end
  if options.fastDecode ~= nil and type(options.fastDecode) ~= "boolean" then
    return core.format("fastDecode: expected true or false, got %s", options.fastDecode)
  end
  if options.fastDecode and filter == "torch" then
    return "fastDecode: expected the filter bicubic or bilinear with it, got torch"
  end
  local imageSize = options.imageSize or IMAGE_SIZE
  if options.scaleSize and options.scaleSize < imageSize then
    return ("scaleSize: expected at least imageSize, %d, got %d"):format(imageSize, options.scaleSize)
  end
end

-- imageSize and scaleSize, in ImageNet's proportion where one is not given.
local function sizesOf(options)
  local imageSize = options.imageSize or IMAGE_SIZE
  return imageSize, options.scaleSize or (imageSize * SCALE_SIZE + IMAGE_SIZE // 2) // IMAGE_SIZE
end

-- ---- Classes ----

local function isImageNet(classes)
  if #classes ~= IMAGENET_CLASSES then return false end
  for _, name in ipairs(classes) do
    if not name:find("^n%d%d%d%d%d%d%d%d$") then return false end
  end
  return true
end

-- The label of each class of an index, by its name; and a sentence on labels without a folder, or nil. Or nil,
-- message, code.
local function labelsBy(classes, index, where)
  local byName, has, labels = {}, {}, {}
  for label, name in ipairs(classes) do byName[name] = label end
  for c, name in ipairs(index.classes) do
    labels[c] = byName[name]
    if not labels[c] then
      return nil, ("%s: has class %s, which is none of the classes trained on"):format(index.root, name), "format"
    end
    has[name] = true
  end
  local lacking = {}
  for _, name in ipairs(classes) do
    if not has[name] then lacking[#lacking + 1] = name end
  end
  if #lacking == 0 then return labels end
  return labels, ("%s lacks class%s %s"):format(where, #lacking > 1 and "es" or "",
    table.concat(lacking, ", ", 1, math.min(#lacking, 5)) .. (#lacking > 5 and ", ..." or ""))
end

-- Every class has images: nil, message, code where one has none.
local function checkFilled(index)
  if #index.classes == 0 then
    return nil, ("%s: expected folders of images, one for each class, got no folder"):format(index.root), "format"
  end
  for c, name in ipairs(index.classes) do
    if index.bounds:at(c) == index.bounds:at(c + 1) then
      return nil, ("%s/%s: class %s has no images (jpg, jpeg, png, ppm, pgm, bmp)"):format(index.root, name, name),
        "format"
    end
  end
  return true
end

-- A folder of splits is none of classes: nil, message, code.
local function checkIsNoSplit(index)
  local found = {}
  for _, name in ipairs(index.classes) do
    if name == "train" or name == "val" or name == "valid" or name == "test" then found[#found + 1] = name end
  end
  if #found < 2 then return true end
  return nil, ("%s: holds %s, not classes; name one of them: %s/%s"):format(index.root, table.concat(found, " and "),
    index.root, found[1]), "format"
end

-- ---- One folder of classes ----

-- A set of the images below `root`, without mean and std; or nil, message, code.
local function setOf(root, options, fields)
  local index, message, code = folderIndex.open(root, options.index, fields.indexName)
  if not index then return nil, message, code end
  local fine
  fine, message, code = checkIsNoSplit(index)
  if fine then fine, message, code = checkFilled(index) end
  if not fine then return nil, message, code end
  local classes = options.classes or index.classes
  local labels, note
  labels, note, code = labelsBy(classes, index, root)
  if not labels then return nil, note, code end
  if note then index.notes[#index.notes + 1] = note end
  local imageSize, scaleSize = sizesOf(options)
  return FolderSet.new(index, {
    name = fields.name, split = fields.split, classes = classes, labelOf = labels, family = "imagenet",
    channels = options.channels or 3, imageSize = imageSize, scaleSize = scaleSize,
    filter = options.filter or "bicubic", badImages = options.badImages or "error",
    minArea = options.minArea, mirror = options.mirror,
    fastDecode = options.fastDecode or false,
    directory = fields.directory or root,
  })
end

-- Gives the set its mean and std, from where they are known: true; or nil, message, code.
local function addStatistics(set, training, options)
  local mean, std, code = options.mean, options.std
  if not (mean and std) and isImageNet(set.classes) and set.channels == 3 then
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    set.notes[#set.notes + 1] = "mean and deviation are ImageNet's, whose 1000 classes these are"
  elseif not (mean and std) then
    mean, std, code = folderStatistics(training, options.report)
    if not mean then return nil, std, code end
  end
  set.mean, set.std = mean, std
  return true
end

local FOLDER_OPTIONS = { mean = true, std = true, split = true }
for name in pairs(OPTIONS) do FOLDER_OPTIONS[name] = true end

local function checkList(name, value)
  if value ~= nil and type(value) ~= "table" then argument.refuse(2, "data.folder", value, "a list", name) end
end

--- A data set of the images in a folder: its folders are the classes.
-- @param path the folder
-- @param options table (optional):
--   imageSize  pixels of the square that a network sees, 224 by default
--   scaleSize  pixels of the shorter edge before the middle is cut out for a test, by default in ImageNet's
--              proportion: 256 for 224
--   filter     of the scaling: "bicubic" (the default), "bilinear" or "torch" (Torch7's bicubic)
--   minArea    least share of a picture that training cuts out, 0.08 by default
--   mirror     false: training mirrors no picture
--   channels   3 (the default), or 1 for grey
--   classes    names of the classes by label, such as those of the training set; the folder's own by default
--   mean, std  lists of a number for each channel, 0–255; by default found here, from 2000 images at most
--   badImages  "error" (the default): an image that cannot be read is one; "skip": another one of its class takes
--              its place
--   fastDecode true: where RandomSizedCrop makes a JPEG smaller, part of that is done by its decoder: twice as fast
--              or more for photographs of many megapixels, with pixels that differ a little; a test is as ever
--   index      a directory that keeps the list of files for the next time
--   split      what the set is called beside its name, "train" by default
--   report     function(line), told what takes long
-- @return a FolderSet; or nil, message, code
function folder.open(path, options)
  argument.string(1, "data.folder", path, "path")
  if options ~= nil then argument.table(2, "data.folder", options, "options") end
  options = options or {}
  for name in pairs(options) do
    if not FOLDER_OPTIONS[name] then
      argument.raise("bad argument #2 to 'data.folder' (options: there is no %s%s)", tostring(name),
        argument.nearest(tostring(name), FOLDER_OPTIONS))
    end
  end
  local wrong = complaint(options)
  if wrong then argument.raise("bad argument #2 to 'data.folder' (%s)", wrong) end
  for _, name in ipairs { "classes", "mean", "std" } do checkList(name, options[name]) end
  path = #path > 1 and path:gsub("/+$", "") or path
  local name = path:match("[^/]+$") or path
  local set, message, code = setOf(path, options, { name = name, split = options.split or "train", indexName = name })
  if not set then return nil, message, code end
  local done
  done, message, code = addStatistics(set, set, options)
  if not done then return nil, message, code end
  return set
end

-- ---- train, val and test ----

-- The folder of a split, or nil.
local function rootOf(directory, split)
  for _, name in ipairs(SPLITS[split]) do
    local root = directory .. "/" .. name
    if core.directory_list(root) then return root end
  end
end

local function layout(directory, what)
  return nil, ("%s: there is no %s; " .. LAYOUT):format(directory, what, directory, directory), "io"
end

folder.IMAGENET = { name = "imagenet", family = "imagenet", epochs = 90, channels = 3, height = IMAGE_SIZE,
  width = IMAGE_SIZE, options = OPTIONS, hasOwnClasses = true }

-- By family of networks: options that large images want, one step after the other.
local LARGE_NETWORKS = { densenet = {
  { set = { stem = "imagenet" } },
  { where = { stem = "imagenet" }, set = { depth = 121, growthRate = 32 } },
} }

--- What options of a network an image size asks for unless they are given, as definitions tell.
function folder.IMAGENET.networks(options)
  return (options.imageSize or IMAGE_SIZE) >= LARGE and LARGE_NETWORKS or {}
end

--- The definition for a directory: with classes and sizes. Without a directory the classes are as many as
-- ImageNet's, so that a network can be planned.
-- @param definition folder.IMAGENET
-- @param options those of data.open
-- @return a definition; or nil, message, code
function folder.IMAGENET.settled(definition, options)
  local wrong = complaint(options)
  if wrong then return nil, wrong, "argument" end
  local imageSize = sizesOf(options)
  local found = { height = imageSize, width = imageSize, channels = options.channels or 3, classes = options.classes }
  local directory = options.directory
  if directory then
    found.splits = {}
    for split in pairs(SPLITS) do found.splits[split] = rootOf(directory, split) ~= nil end
  end
  if directory and not found.classes then
    local root = rootOf(directory, "train")
    if not root then return layout(directory, "train") end
    local message, code
    found.classes, message, code = folderIndex.classes(root)
    if not found.classes then return nil, message, code end
    if #found.classes == 0 then
      return nil, ("%s: expected folders of images, one for each class, got no folder"):format(root), "format"
    end
  end
  if not found.classes then
    found.classes = {}
    for c = 1, IMAGENET_CLASSES do found.classes[c] = ("class %d"):format(c) end
  end
  return setmetatable(found, { __index = definition })
end

--- Opens a split.
-- @param definition as settled left it
-- @param options split: "train", "val" or "test"; directory; mean and std, where they are known; and those of
-- folder.open
-- @return a FolderSet; or nil, message, code
function folder.IMAGENET.open(definition, options)
  local directory = options.directory
  if not directory then
    return nil, "imagenet: no directory given; name the one with train and val (-data DIR)", "argument"
  end
  local root = rootOf(directory, options.split)
  if not root then return layout(directory, options.split) end
  local chosen = setmetatable({ classes = definition.classes }, { __index = options })
  local fields = { name = definition.name, split = options.split, directory = directory,
    indexName = definition.name .. "-" .. options.split }
  local set, message, code = setOf(root, chosen, fields)
  if not set then return nil, message, code end
  local training = set
  if options.split ~= "train" and not (options.mean and options.std) and not isImageNet(set.classes) then
    local trainRoot = rootOf(directory, "train")
    if not trainRoot then return layout(directory, "train, from which mean and deviation would come") end
    fields.split, fields.indexName = "train", definition.name .. "-train"
    training, message, code = setOf(trainRoot, chosen, fields)
    if not training then return nil, message, code end
  end
  local done
  done, message, code = addStatistics(set, training, options)
  if not done then return nil, message, code end
  return set
end

return folder
