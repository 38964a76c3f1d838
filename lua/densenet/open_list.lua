--- Definitions by name: those that come with densenet, and everybody's own. A name that is not known
-- is one for `require`: the module found by package.path returns the table that defines the thing.
--
-- A name is letters, digits, "_", "-" and dots, so one that stands in a file leads to modules that are
-- installed, and to no other path.
local attempt = require "densenet.attempt"
local nearest = require "densenet.nearest"
local sortedNames = require "densenet.sorted_names"

local OpenList = {}
OpenList.__index = OpenList

--- Makes a list.
-- @tparam string what is defined, as messages say it: "data set"
-- @tparam table known name → definition
-- @tparam function complaint of a definition: nothing, or what is wrong with it
function OpenList.new(what, known, complaint)
  return setmetatable({ what = what, known = known, complaint = complaint }, OpenList)
end

--- The names that come with densenet, sorted.
function OpenList:names() return sortedNames(self.known) end

local function unknown(self, name, why)
  local meant = type(name) == "string" and nearest(name, self:names())
  return nil, ("no %s is called '%s'%s; known are %s; %s"):format(self.what, tostring(name),
    meant and (" (did you mean %s?)"):format(meant) or "", table.concat(self:names(), ", "), why), "argument"
end

-- What `require` gives for a name, or nil, message, code.
local function load(self, name)
  if type(name) ~= "string" or not name:find("^[%w_][%w_.-]*$") then
    return unknown(self, name, "a module's name has letters, digits, '_', '-' and dots")
  end
  if package.loaded[name] == nil and package.preload[name] == nil then
    local path, tried = package.searchpath(name, package.path)
    if not path then
      local places = {}
      for place in tried:gmatch("'([^']+)'") do places[#places + 1] = place end
      return unknown(self, name, "there is no module of that name: no " .. table.concat(places, ", no "))
    end
  end
  local loaded, module = attempt.call(require, name)
  if not loaded then
    return nil, ("module %s, which should define a %s, cannot be loaded: %s"):format(name, self.what,
      tostring(module)), "argument"
  end
  return module
end

--- A definition.
-- @tparam string name a known one, or of a module
-- @treturn table or nil, message, "argument": with the known names and where a module was looked for,
-- or with the field of the module's table that is wrong
function OpenList:find(name)
  if self.known[name] then return self.known[name] end
  local module, message, code = load(self, name)
  if module == nil then return nil, message, code end
  local wrong = type(module) ~= "table"
    and ("expected a table that defines a %s, got %s"):format(self.what, type(module)) or self.complaint(module)
  if wrong then return nil, ("module %s: %s"):format(name, wrong), "argument" end
  return module
end

--- What is wrong with the fields of a table.
-- @tparam table definition
-- @tparam table fields list of { name, type, what is expected in words }, with isOptional = true where
-- the field may be absent
-- @treturn ?string "open: expected a function that ..., got nil"
function OpenList.fieldComplaint(definition, fields)
  for _, field in ipairs(fields) do
    local name, typeName, expected = table.unpack(field)
    local value = definition[name]
    local fits = type(value) == typeName or typeName == "integer" and math.type(value) == "integer"
    if not fits and not (field.isOptional and value == nil) then
      local got = type(value) == "number" and tostring(value) or type(value)
      return ("%s: expected %s, got %s"):format(name, expected, got)
    end
  end
end

return OpenList
