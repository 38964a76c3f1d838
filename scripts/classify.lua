-- What a trained network takes pictures for:
--
--   lua5.4 scripts/classify.lua MODEL PICTURE|DIRECTORY ... [-topK 5] [-format text|tsv|json] [-cam DIRECTORY]
--
-- Text is a line `probability<TAB>class` a guess, after the picture's name where there are several. A bad picture
-- has a line that says why, and the exit status is 1 when all others are done. Pictures in folders with the names of
-- the network's classes are also counted: error rates, and with -confusion which class was taken for which.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local activationMap = require "densenet.models.activation_map"
local CommandLine = require "densenet.train.command_line"
local imageOrientation = require "densenet.image_orientation"
local modelOptions = require "densenet.train.model_options"
local pictureFiles = require "densenet.data.picture_files"
local guessTable = require "densenet.train.guess_table"
local program = require "densenet.train.program"

local USAGE = "usage: lua5.4 scripts/classify.lua MODEL PICTURE|DIRECTORY ... [-option value ...]   (-help lists the "
  .. "options)"

local groups = {
  { title = "Guesses",
    { name = "topK", type = "integer", default = 5, min = 1, max = 1000000, help = "how many guesses a picture" },
    { name = "tenCrop", type = "boolean", default = false, help = "take ten crops of each picture together" },
    { name = "batchSize", type = "integer", default = 16, min = 1, max = 1000000,
      help = "pictures (crops with -tenCrop) that are computed at once" },
    { name = "exif", type = "boolean", default = false, help = "turn pictures upright as the camera says" },
  },
  { title = "Output",
    { name = "format", type = "word", default = "text", choices = { "text", "tsv", "json" }, help = "of the guesses" },
    { name = "output", type = "text", shown = "the terminal", help = "file for the guesses" },
    { name = "confusion", type = "text", shown = "none",
      help = "file for a table, rows are the true classes; for pictures in folders named after the classes" },
    { name = "cam", type = "text", shown = "none",
      help = "directory for class activation maps over the pictures, of the likeliest class" },
  },
  modelOptions.group,
}

-- A picture for model:classify: its path, or the image turned upright.
local function sourceOf(path, values)
  if not values.exif then return path end
  local content = core.file_read(path)
  local number = content and imageOrientation.of(content) or 1
  local picture = number ~= 1 and dn.image.decode(content, { channels = "own", name = path })
  return picture and imageOrientation.upright(picture, number) or path
end

-- Writes the map of a picture into a directory.
local function writeMap(model, source, path, directory, taken)
  local cam, message, code = model:cam(source)
  if not cam then return nil, message, code end
  local base = path:match("([^/]*)$"):gsub("%.%w+$", "")
  taken[base] = (taken[base] or 0) + 1
  local name = taken[base] == 1 and base or base .. "-" .. taken[base]
  return dn.image.save(("%s/%s-cam.png"):format(directory, name), activationMap.overlay(cam))
end

local function main()
  local check = program.check
  local values = program.options(CommandLine.new(groups, true), arg, USAGE)
  if not values then return 0 end
  if #values < 2 then program.refuse("a model and at least one picture expected") end
  dn.threads(values.nCores)
  local files = check(pictureFiles.find { table.unpack(values, 2) })
  local model = check(modelOptions.load(values[1], values, true))
  program.tellNotes(model)
  local isLabelled = pictureFiles.label(files, model.classes)
  if values.confusion and not isLabelled then
    program.refuse(("-confusion %s: expected pictures in folders named after the network's classes"):format(
      values.confusion))
  end
  if values.cam then check(core.directory_make(values.cam)) end

  local results, taken = guessTable.new(files, model.classes, values), {}
  local place = values.batchSize
  for first = 1, #files, place do
    local sources = {}
    for i = first, math.min(first + place - 1, #files) do sources[#sources + 1] = sourceOf(files[i].path, values) end
    local guesses = model:classify(sources, { topK = math.max(values.topK, 5), tenCrop = values.tenCrop,
      batchSize = values.batchSize })
    for i, source in ipairs(sources) do
      local file = files[first + i - 1]
      if values.cam and not guesses[i].error then check(writeMap(model, source, file.path, values.cam, taken)) end
      check(results:add(file, guesses[i]))
    end
  end
  check(results:finish())
  return results.nBad > 0 and 1 or 0
end

os.exit(program.run("classify.lua", USAGE, main), true)
