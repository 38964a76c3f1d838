-- Features of pictures: what an inner layer of a trained network makes of them, as a safetensors file.
--
--   lua5.4 scripts/extract-features.lua MODEL [BATCH] PICTURE|DIRECTORY ... [-layer pool5] [-output FILE]
--
-- The file holds `features`, a row (with -pool false for inner layers: C,H,W) a picture; its metadata have
-- image_list, the pictures in the same order as JSON, and layer. Pictures that are bad are named on stderr, left out,
-- and make the exit status 1.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local CommandLine = require "densenet.train.command_line"
local layers = require "densenet.models.layers"
local modelOptions = require "densenet.train.model_options"
local pictureFiles = require "densenet.data.picture_files"
local program = require "densenet.train.program"

local USAGE = "usage: lua5.4 scripts/extract-features.lua MODEL [BATCH] PICTURE|DIRECTORY ... [-option value ...]   "
  .. "(-help lists the options)"

local groups = {
  { title = "Features",
    { name = "layer", type = "text", default = layers.POOLED,
      help = "whose output: pool5, the classifier's input, or features.denseblock3 and the like" },
    { name = "pool", type = "boolean", default = true, help = "the mean of each plane of an inner layer" },
    { name = "batchSize", type = "integer", default = 16, min = 1, max = 1000000,
      help = "pictures that are computed at once; also the word BATCH" },
    { name = "output", type = "text", default = "features.safetensors", help = "file for the features" },
  },
  modelOptions.group,
}

-- Means of the planes of N,C,H,W.
local function pooled(output)
  if output:dim() ~= 4 then return output end
  return output:mean(4):mean(3):view(output:size(1), output:size(2))
end

local function main()
  local check = program.check
  local values, given = program.options(CommandLine.new(groups, true), arg, USAGE)
  if not values then return 0 end
  if values[2] and values[2]:find("^%d+$") and not given.batchSize then
    values.batchSize = math.max(1, math.tointeger(tonumber(table.remove(values, 2))) or 1)
  end
  if #values < 2 then program.refuse("a model and at least one picture expected") end
  dn.threads(values.nCores)
  local files = check(pictureFiles.find { table.unpack(values, 2) })
  local model = check(modelOptions.load(values[1], values))
  program.tellNotes(model)
  local isThere = false
  for _, name in ipairs(layers.names(model)) do isThere = isThere or name == values.layer end
  if not isThere then
    program.refuse(("-layer %s: expected one of %s"):format(values.layer, table.concat(layers.names(model), ", ")))
  end

  local parts, names, nBad, inputs = {}, {}, 0, {}
  local function compute()
    if #inputs == 0 then return end
    local output = layers.output(model, dn.cat(inputs, 1), values.layer):to("cpu"):float()
    parts[#parts + 1] = values.pool and pooled(output) or output
    inputs = {}
  end
  for _, file in ipairs(files) do
    local input, message = model:preprocess(file.path)
    if input then
      inputs[#inputs + 1], names[#names + 1] = input, file.path
    else
      io.stderr:write(message, "\n")
      nBad = nBad + 1
    end
    if #inputs == values.batchSize then compute() end
  end
  compute()
  if #parts == 0 then program.stop(1, "no picture could be read, and nothing is written") end
  local features = dn.cat(parts, 1)
  check(dn.safetensors.save(values.output, { features = features },
    { image_list = dn.json.encode(dn.json.array(names)), layer = values.layer }))
  print(("%s: features of %d pictures, %s, of %s"):format(values.output, #names, table.concat(features:size(), "x"),
    values.layer))
  return nBad > 0 and 1 or 0
end

os.exit(program.run("extract-features.lua", USAGE, main), true)
