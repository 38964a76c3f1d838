--- The parent of modules made of modules: a list of children, some with names, and errors that say
-- where in the tree they happened.
-- @classmod densenet.nn.Container

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"
local ownMethods = require "densenet.nn.own_methods"

local Container, parent = class("nn.Container", Module)

local TRACEBACK = "\nstack traceback:\n"

function Container:__init()
  parent.__init(self)
  self.modules = {}
  self.names = {} -- beside modules: a string, or false
end

local function checkChild(container, module, name, method)
  if not (type(module) == "table" and module.__typename and module.updateOutput) then
    argument.refuse(1, method, module, "a module")
  end
  if name ~= nil then argument.string(method == "insert" and 3 or 2, method, name, "name") end
  for _, other in ipairs(container.names) do
    if name and name ~= "" and name == other then
      argument.raise("%s has a child called '%s' already", container.__typename, name)
    end
  end
end

--- Appends a module.
-- @param module the child
-- @tparam[opt] string name for stateDict; "" leaves the child out of names (see nn.state_dict)
-- @return the container
function Container:add(module, name)
  checkChild(self, module, name, "add")
  self.modules[#self.modules + 1] = module
  self.names[#self.modules] = name or false
  return self
end

--- Puts a module before position i.
function Container:insert(module, i, name)
  checkChild(self, module, name, "insert")
  i = argument.integer(2, "insert", i, 1, "position")
  if i > #self.modules + 1 then argument.refuse(2, "insert", i, "1 to " .. #self.modules + 1, "position") end
  table.insert(self.modules, i, module)
  table.insert(self.names, i, name or false)
  return self
end

-- A position counted from 1, from -1 backwards, or a name.
local function positionOf(container, which)
  if math.type(which) == "integer" then
    return which < 0 and #container.modules + 1 + which or which
  end
  for i, name in ipairs(container.names) do
    if name and name == which then
      return i
    end
  end
end

--- The child at a position (-1 is the last) or with a name; nil where there is none.
function Container:get(which)
  return self.modules[positionOf(self, which)]
end

--- Takes a child out (by default the last) and returns it.
function Container:remove(which)
  local i = positionOf(self, which or -1)
  if not self.modules[i] then
    argument.raise("%s has no child %s", self.__typename, tostring(which))
  end
  table.remove(self.names, i)
  return table.remove(self.modules, i)
end

--- Another module in a child's place, under its name.
function Container:replace(which, module)
  local i = positionOf(self, which)
  if not self.modules[i] then
    argument.raise("%s has no child %s", self.__typename, tostring(which))
  end
  checkChild(self, module, nil, "replace")
  self.modules[i] = module
  return self
end

function Container:size()
  return #self.modules
end

--- The child's name in stateDict: its own, or its position counted from 0.
function Container:childName(i)
  return self.names[i] or tostring(i - 1)
end

-- The first to see an error adds the traceback, which tells the line; a line of this library's own
-- in the middle of the sentence would say nothing to its reader.
local function withTraceback(failure)
  if type(failure) ~= "string" or failure:find(TRACEBACK, 1, true) then
    return failure
  end
  return core.traceback((failure:gsub("^[^\n]-densenet[/\\]nn[/\\][%w_]+%.lua:%d+: ", "")))
end

-- The type and sizes of a module on one line, for messages.
local function nameOf(module)
  return module.modules and module.__typename or tostring(module)
end

--- Calls a method of child i. An error is raised again with the child's place before its message, and
-- before that the line of the caller's program; the traceback of the first error follows the message. Error
-- values that are not strings pass unchanged.
function Container:callChild(i, method, ...)
  local child = self.modules[i]
  local ok, result = xpcall(child[method], withTraceback, child, ...)
  if ok then
    return result
  end
  if type(result) == "string" then
    local name = self.names[i]
    local sentence, line = argument.sentence(result)
    result = line .. ("in module %d%s of %s (%s): %s"):format(i, name and name ~= "" and (" '%s'"):format(name) or "",
      self.__typename, nameOf(child), sentence)
  end
  error(result, 0)
end

function Container:parameters()
  local weights, gradients = {}, {}
  for _, module in ipairs(self.modules) do
    local w, g
    if not module.frozen then
      w, g = module:parameters()
    elseif module.modules then -- it is the container's own parameters that are frozen
      w, g = Container.parameters(module)
    end
    for i = 1, w and #w or 0 do
      weights[#weights + 1], gradients[#gradients + 1] = w[i], g[i]
    end
  end
  return weights, gradients
end

--- What `parameters` is for a container that has none but its children's.
Container.childrenParameters = Container.parameters

--- For zeroGradParameters: of a child that has a zeroGradParameters of its own, that is called instead.
function Container:listGradients(list)
  for _, module in ipairs(self.modules) do
    if module.zeroGradParameters == parent.zeroGradParameters then
      module:listGradients(list)
    else
      module:zeroGradParameters()
    end
  end
  if self.parameters ~= Container.parameters then -- it may list some that no child holds
    parent.listGradients(self, list)
  end
end

--- Children read the container's input and their gradInputs make its own, for all it knows.
function Container:markBackward(isNeeded)
  local trains = parent.markBackward(self, isNeeded)
  for _, module in ipairs(self.modules) do
    trains = module:markBackward(true) or trains
  end
  self.isIdle = (not isNeeded and not trains) or nil
  return trains
end

--- markBackward of a container whose children compute one after the other.
function Container:markInOrder(isNeeded)
  local trains = parent.markBackward(self, isNeeded)
  local isChildNeeded = isNeeded or trains
  for _, module in ipairs(self.modules) do
    trains = module:markBackward(isChildNeeded) or trains
    isChildNeeded = isChildNeeded or trains
  end
  self.isIdle = (not isNeeded and not trains) or nil
  return trains
end

--- markBackward of a container whose children each compute from its input.
function Container:markBranches(isNeeded)
  local trains = parent.markBackward(self, isNeeded)
  for _, module in ipairs(self.modules) do
    trains = module:markBackward(isNeeded) or trains
  end
  self.isIdle = (not isNeeded and not trains) or nil
  return trains
end

local HALVES = { "updateGradInput", "accGradParameters" }

--- Has a container of a class that computes both halves of `backward` at once another method for one of
-- them? Then its `backward` is Module's.
function Container:hasOwnHalves(containerClass)
  return ownMethods.overridden(self, containerClass, HALVES) ~= nil
end

--- Calls a child's accGradParameters, unless it is frozen and has no children.
function Container:accumulateChild(i, input, gradOutput, scale)
  local child = self.modules[i]
  if not child.frozen or child.modules then
    self:callChild(i, "accGradParameters", input, gradOutput, scale)
  end
end

--- Makes the named fields of every module inside those of the other's, a container built alike.
function Container:share(other, ...)
  if type(other) ~= "table" or type(other.modules) ~= "table" or #other.modules ~= #self.modules then
    argument.refuse(1, "share", other, ("a container of %d modules"):format(#self.modules))
  end
  parent.share(self, other, ...)
  for i, module in ipairs(self.modules) do module:share(other.modules[i], ...) end
  return self
end

--- Draws the parameters of every module anew.
-- @tparam[opt] number deviation as each module's reset takes it
function Container:reset(deviation)
  for i = 1, #self.modules do self:callChild(i, "reset", deviation) end
  return self
end

function Container:clearState()
  parent.clearState(self)
  for _, module in ipairs(self.modules) do
    module:clearState()
  end
  return self
end

-- Lines for __tostring__: each child after `indent` and its label, its further lines as far in.
function Container:childLines(indent)
  local lines, further = {}, "\n" .. (" "):rep(#indent)
  for i, module in ipairs(self.modules) do
    local name = self.names[i]
    local label = name and name ~= "" and name or tostring(i)
    lines[#lines + 1] = ("%s(%s): %s"):format(indent, label, (tostring(module):gsub("\n", further)))
  end
  return lines
end

function Container:__tostring__()
  return ("%s {\n%s\n}"):format(self.__typename, table.concat(self:childLines("  "), "\n"))
end

return Container
