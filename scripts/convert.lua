-- A trained network in another kind of file:
--
--   lua5.4 scripts/convert.lua IN OUT [-classes FILE] [-preprocess NAME] [-inputSize 3,224,224]
--
-- IN is anything that dn.models.load reads, known by its content: .safetensors, a run's directory, PyTorch's .pth,
-- Torch7's .t7, .onnx. OUT's name says what is written: .safetensors (with the classes and what images go through),
-- .onnx, or .t7. docs/interchange.md has what each can hold.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"
local recipes = require "densenet.data.recipe"
local saving = require "densenet.models.saving"

local USAGE = "usage: lua5.4 scripts/convert.lua IN OUT [-option value ...]   (-help lists the options)"

local groups = {
  { title = "Network",
    { name = "classes", type = "text", shown = "the file's", help = "text file with the classes' names, one a line" },
    { name = "preprocess", type = "word", shown = "the file's", choices = recipes.names(),
      help = "what pictures go through, by the name of what the network was trained with" },
  },
  { title = "ONNX",
    { name = "inputSize", type = "text", shown = "the network's crop", help = "channels,height,width of its images" },
    { name = "batch", type = "text", default = "N", help = "a name for any number of images, or a number of them" },
    { name = "softmax", type = "boolean", default = false, help = "probabilities in place of scores" },
    { name = "normalize", type = "boolean", default = false, help = "take images as they are before normalisation" },
  },
}

-- "3,224,224" as a list.
local function sizeOf(text)
  if not text then return nil end
  local size = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local number = word:find("^%d+$") and math.tointeger(tonumber(word))
    if not number or number < 1 then
      program.refuse(("-inputSize %s: channels,height,width expected, such as 3,224,224"):format(text))
    end
    size[#size + 1] = number
  end
  if #size ~= 3 then program.refuse(("-inputSize %s: three numbers expected, got %d"):format(text, #size)) end
  return size
end

local function onnxOptions(model, values)
  local batch = math.tointeger(tonumber(values.batch)) or values.batch
  local inputSize = sizeOf(values.inputSize)
  if not inputSize and not (model.recipe and model.recipe.crop) then
    program.refuse(("%s does not say what size its images have: -inputSize 3,224,224"):format(model.file))
  end
  if values.normalize and not model.recipe then
    program.refuse(("%s does not say what images are normalised with: -preprocess %s"):format(model.file,
      table.concat(recipes.names(), "|")))
  end
  return { inputSize = inputSize, batch = batch, softmax = values.softmax, normalize = values.normalize }
end

local writers = {
  safetensors = function(model, path) return saving.safetensors(model, path) end,
  onnx = function(model, path, values) return model:saveOnnx(path, onnxOptions(model, values)) end,
  t7 = function(model, path) return dn.io.t7.save(path, dn.models.toTorch7(model)) end,
}

local function main()
  local check = program.check
  local values = program.options(CommandLine.new(groups, true), arg, USAGE)
  if not values then return 0 end
  if #values ~= 2 then program.refuse(("a file to read and one to write expected, got %d names"):format(#values)) end
  local source, target = values[1], values[2]
  local kind = target:lower():match("%.(%w+)$")
  local write = writers[kind]
  if not write then
    program.refuse(("%s: a name that ends in .safetensors, .onnx or .t7 expected"):format(target))
  end
  local model = check(dn.models.load(source, { classes = values.classes, preprocess = values.preprocess }))
  program.tellNotes(model)
  check(write(model, target, values))
  print(("%s: %s, %d parameters"):format(target, dn.models.describe(model.config), model:parameterCount()))
end

os.exit(program.run("convert.lua", USAGE, main), true)
