-- docs/operations.md, made from the one description of the operations (src/dn_ops.def):
--
--   lua5.4 scripts/operation_table.lua > docs/operations.md
local setup = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local core = require "densenet.core"

local MARKS = { written = "=", added = "+" }

local file = assert(io.open(setup.root .. "/src/dn_ops.def"))
local definition = file:read "a"
file:close()

-- Titles of families as dn_ops.def's comments have them, each with the names that follow it.
local function families(names)
  local place, found = {}, {}
  for _, name in ipairs(names) do place[name] = definition:find("DN_OP%(" .. name .. ",") end
  for comment, stop in definition:gmatch "\n/%*\n(.-)%*/()" do
    found[#found + 1] = { text = comment:gsub("%*%* ?", ""), start = stop, names = {} }
  end
  for _, name in ipairs(names) do
    for i = #found, 1, -1 do
      if place[name] > found[i].start then
        table.insert(found[i].names, name)
        break
      end
    end
  end
  return found
end

-- An argument with its mark, in brackets where nil may stand for it.
local function argumentText(argument)
  local text = (MARKS[argument.role] or "") .. argument.name
  return argument.optional and "[" .. text .. "]" or text
end

local function signature(name, description)
  local words = {}
  for i, argument in ipairs(description.arguments) do words[i] = argumentText(argument) end
  return ("%s(%s)"):format(name, table.concat(words, ", "))
end

local function traits(description)
  local words = {}
  if description.widened then words[#words + 1] = "16-bit activations" end
  if description.cpuScratch then words[#words + 1] = "scratch on the CPU" end
  if description.cudaScratch then words[#words + 1] = "scratch on a GPU" end
  return table.concat(words, ", ")
end

print [[
# Operations

What a backend computes, as `densenet.core` has it. This page is made from `src/dn_ops.def` by
`scripts/operation_table.lua`; how to add one stands in [extending.md](extending.md). `=y` is written, `+y` is added to
or may be, all else is read; `[y]` may be nil. Options of convolutions, pooling and SGD, and a generator's seed, stream
and position, are given one by one.]]
local names, descriptions = core.operations()
for _, family in ipairs(families(names)) do
  if #family.names > 0 then
    print(("\n```\n%s```\n\n| operation | |\n|---|---|"):format(family.text))
    for _, name in ipairs(family.names) do
      print(("| `%s` | %s |"):format(signature(name, descriptions[name]), traits(descriptions[name])))
    end
  end
end
