-- Trains a trained network further, on pictures and classes of your own:
--
--   lua5.4 scripts/finetune.lua MODEL DIRECTORY [-freeze classifier-only|block1..4|none] [any option of main.lua]
--
-- It is main.lua with -retrain MODEL -resetClassifier true -dataset imagenet -data DIRECTORY, and -LR 0.01 -nEpochs 10
-- -freeze none unless told otherwise. DIRECTORY holds train/<class>/*.jpg and val/<class>/*.jpg; with another
-- -dataset it is where that set's files are.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local USAGE = "usage: lua5.4 scripts/finetune.lua MODEL DIRECTORY [-freeze classifier-only|block1..4|none] "
  .. "[any option of main.lua]"

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local main = (here == "scripts" and "" or here:match("^(.*/)scripts$") or here .. "/../") .. "main.lua"
local words, isGiven = {}, {}
for _, word in ipairs(arg) do
  local name = word:match("^%-%-?([%a][%w]*)")
  if name then isGiven[name] = true end
end
if isGiven.help or isGiven.h then
  print(USAGE .. "\n\n  -freeze  classifier-only: the new last layer alone is trained; block1, block2, ...: all behind"
    .. "\n           that block; none, the default: the whole network"
    .. "\n\nThe options of main.lua: lua5.4 main.lua --help")
  os.exit(0)
end
local model, directory = arg[1], arg[2]
if not model or not directory or model:find("^%-") or directory:find("^%-") then
  io.stderr:write("finetune.lua: a model's file and a directory of pictures expected, in this order\n", USAGE, "\n")
  os.exit(2)
end

local function add(name, value)
  if isGiven[name] then return end
  words[#words + 1], words[#words + 2] = "-" .. name, value
end
add("retrain", model)
add("data", directory)
add("resetClassifier", "true")
add("dataset", "imagenet")
if not isGiven.optimizer then add("LR", "0.01") end -- others have rates of their own
add("nEpochs", "10")
add("freeze", "none")
for i = 3, #arg do words[#words + 1] = arg[i] end
-- Commands that a run tells of are main.lua's.
words[0], words[-1] = main, arg[-1]
if arg.program then
  words.program = { (table.unpack or unpack)(arg.program) } -- luacheck: ignore
  words.program[#words.program] = "train"
end
arg = words -- luacheck: globals arg
dofile(words[0])
