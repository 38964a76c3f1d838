-- The specs themselves: tests and cases are registered in the same order at every run, so none from
-- within a loop over pairs, which has no order.

local function linesOf(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local REGISTERS = { "^%s+it%(", "^%s+[%w_]+_it%(", "^%s+describe%(", "^%s+[%w_.]*case%(", "^%s+wrong%(" }

local function registers(line)
  for _, pattern in ipairs(REGISTERS) do
    if line:find(pattern) then return true end
  end
end

-- "line N" of what is registered from within a loop over pairs, in lines that are indented as ours are.
local function unordered(lines)
  local indent
  local found = {}
  for number, line in ipairs(lines) do
    if not indent and line:find "for .* in pairs" and not line:find " do .* end" then
      indent = line:match "^%s*"
    elseif indent and line:find("^" .. indent .. "end") then
      indent = nil
    elseif indent and registers(line) then
      found[#found + 1] = "line " .. number
    end
  end
  return found
end

describe("tests are registered in one order:", function()
  it("loops without an order are found", function()
    assert.same({ "line 3" }, unordered {
      "for name in pairs(list) do names[name] = true end", "for name in pairs(list) do", "  it(name, test)", "end",
      "for _, name in ipairs(names) do", "  it(name, test)", "end",
    })
  end)

  for _, path in ipairs(linesOf "find spec -name '*.lua' | LC_ALL=C sort") do
    it(path, function()
      local lines = {}
      for line in io.lines(path) do lines[#lines + 1] = line end
      assert.same({}, unordered(lines))
    end)
  end
end)
