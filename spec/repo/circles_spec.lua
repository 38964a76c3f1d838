-- No circles: an object of the library uses names of others, and by following them one never comes back.
-- So each file can be understood after those that it uses. Read from the objects' symbols with nm.

local build = (os.getenv("DENSENET_BUILD") or "build") .. "/obj/src/"

-- Objects that may use each other, and why. None do.
local ALLOWED = {}

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

-- By object: the objects whose names it uses. Objects of sources that are gone do not count.
local function edges()
  local defined_by, uses, objects = {}, {}, {}
  for _, source in ipairs(lines_of("find src -name '*.c' | LC_ALL=C sort")) do
    local name = source:match("^src/(.*)%.c$")
    uses[name] = {}
    objects[#objects + 1] = build .. name .. ".o"
  end
  for _, line in ipairs(lines_of("nm -A " .. table.concat(objects, " "))) do
    local object, letter, symbol = line:match("^(.-)%.o:%x* *(%a) ([%w_.]+)$")
    local name = object and object:sub(#build + 1)
    if letter == "U" then
      table.insert(uses[name], symbol)
    elseif letter and letter:find "[TDBRCVW]" then
      defined_by[symbol] = name
    end
  end
  local graph = {}
  for name, symbols in pairs(uses) do
    graph[name] = {}
    for _, symbol in ipairs(symbols) do
      local other = defined_by[symbol]
      if other and other ~= name then graph[name][other] = symbol end
    end
  end
  return graph
end

-- The sets of nodes that reach each other (Tarjan 1972), as lists.
local function circles(graph)
  local index, low, stack, is_on_stack, count, found = {}, {}, {}, {}, 0, {}
  local function visit(node)
    count = count + 1
    index[node], low[node] = count, count
    stack[#stack + 1], is_on_stack[node] = node, true
    for other in pairs(graph[node] or {}) do
      if not index[other] then
        visit(other)
        low[node] = math.min(low[node], low[other])
      elseif is_on_stack[other] then
        low[node] = math.min(low[node], index[other])
      end
    end
    if low[node] ~= index[node] then return end
    local set = {}
    repeat
      local member = table.remove(stack)
      is_on_stack[member] = false
      set[#set + 1] = member
    until member == node
    table.sort(set)
    if #set > 1 then found[#found + 1] = table.concat(set, " ") end
  end
  for node in pairs(graph) do
    if not index[node] then visit(node) end
  end
  table.sort(found)
  return found
end

describe("circles", function()
  it("are found where there are some", function()
    assert.same({ "a b", "c d e" }, circles {
      a = { b = "x" }, b = { a = "y", c = "z" }, c = { d = "x" }, d = { e = "x" }, e = { c = "x" }, f = { a = "x" },
    })
  end)

  it("are none among the library's objects but those allowed", function()
    if not os.execute("command -v nm >/dev/null 2>&1") then return pending("no nm here") end
    local graph = edges()
    assert.is_truthy(graph["bind/bind_init"]["bind/bind_tensor"]) -- symbols are read
    assert.is_nil(next(graph["dn_device"]), "the ground floor uses nobody")
    local wrong = {}
    for _, circle in ipairs(circles(graph)) do
      if not ALLOWED[circle] then wrong[#wrong + 1] = circle end
    end
    assert.same({}, wrong)
  end)
end)
