--- torch.CmdLine: options of a script with defaults, read from its arguments. An option whose default is a number
-- takes a number; one whose default is true or false takes nothing and turns it round.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"

local CmdLine = nn.class("torch.CmdLine")

function CmdLine:__init()
  self.lines = {}      -- of the help: a text, or an entry
  self.options = {}    -- by name, "-depth"
  self.positional = {} -- in order
end

--- A line of the help.
function CmdLine:text(line) self.lines[#self.lines + 1] = line or "" end

local function nameOf(key) return (key:gsub("^%-+", "")) end

--- An option: self:option("-depth", 20, "of the network"). Its value is in the field `depth`.
-- @param kind "number", "string" or "boolean"; by default the type of `default`
function CmdLine:option(key, default, help, kind)
  argument.string(1, "option", key, "name")
  local entry = { key = key, name = nameOf(key), default = default, help = help or "", kind = kind or type(default) }
  self.options[key] = entry
  self.lines[#self.lines + 1] = entry
end

--- An argument without a name before it, which has to be there.
function CmdLine:argument(key, help, kind)
  local entry = { key = key, name = nameOf(key), help = help or "", kind = kind or "string" }
  self.positional[#self.positional + 1] = entry
  self.lines[#self.lines + 1] = entry
end

--- Says what is wrong and how the script is used, on stderr, and ends the program with status 1.
function CmdLine:error(message)
  io.stderr:write(message, "\n\n", self:helpText())
  os.exit(1, true)
end

function CmdLine:helpText()
  local lines = { "Usage: " .. (arg and arg[0] or "script") .. " [options]" }
  for _, line in ipairs(self.lines) do
    if type(line) == "table" then
      local default = line.default ~= nil and (" [%s]"):format(core.format("%s", line.default)) or ""
      line = ("  %-18s %s%s"):format(line.key, line.help, default)
    end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

function CmdLine:help() io.write(self:helpText()) end

function CmdLine:silent() return self end

local function convert(self, entry, text)
  if text == nil then self:error(("option %s: a %s expected"):format(entry.key, entry.kind)) end
  if entry.kind ~= "number" then return text end
  local number = tonumber(text)
  if not number then self:error(("option %s: a number expected, got '%s'"):format(entry.key, text)) end
  return math.tointeger(number) or number
end

--- The values by name. Unknown options and missing arguments end the program; -help prints the help and ends it.
function CmdLine:parse(arguments)
  argument.table(1, "parse", arguments, "arguments")
  local values, nPositional, i = {}, 0, 1
  for _, entry in pairs(self.options) do values[entry.name] = entry.default end
  while arguments[i] do
    local word = arguments[i]
    local entry = self.options[word]
    if word == "-help" or word == "--help" or word == "-h" and not entry then
      self:help()
      os.exit(0, true)
    elseif entry and entry.kind == "boolean" then
      values[entry.name] = not entry.default
    elseif entry then
      i = i + 1
      values[entry.name] = convert(self, entry, arguments[i])
    elseif word:find("^%-") and not tonumber(word) or nPositional == #self.positional then
      self:error(("unknown option %s%s"):format(word, argument.nearest(word, self.options)))
    else
      nPositional = nPositional + 1
      values[self.positional[nPositional].name] = convert(self, self.positional[nPositional], word)
    end
    i = i + 1
  end
  if nPositional < #self.positional then
    self:error(("argument <%s> is missing"):format(self.positional[nPositional + 1].name))
  end
  return values
end

--- A name for a directory: the options that differ from their defaults, "prefix,depth=40".
-- @param ignored table whose keys are names of options to leave out
function CmdLine:string(prefix, values, ignored)
  local parts = {}
  for _, entry in pairs(self.options) do
    local value = values[entry.name]
    if value ~= entry.default and not (ignored and ignored[entry.name]) then
      parts[#parts + 1] = ("%s=%s"):format(entry.name, (core.format("%s", value):gsub("/", "|")))
    end
  end
  table.sort(parts, core.before)
  table.insert(parts, 1, prefix)
  return table.concat(parts, ",")
end

function CmdLine.log() argument.raise("torch.CmdLine: log is not there; redirect the output in the shell") end

CmdLine.addTime = CmdLine.log

return CmdLine
