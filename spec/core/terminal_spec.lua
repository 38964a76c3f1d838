-- core.terminal: which columns there are to draw on. A terminal is made by `script`, where that is installed.
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local hasScript = os.execute("script -qec true /dev/null >/dev/null 2>&1 </dev/null")

describe("core.terminal", function()
  -- What it gives in a process of its own, whose standard output a command's words lead to `path`.
  local function columns(before, after)
    local directory = temporary.directory()
    local path = directory .. "/out"
    local program = directory .. "/columns.lua"
    temporary.write(program, ('package.cpath = %q\nlocal file = assert(io.open(%q, "w"))\n'
      .. 'file:write(tostring(require "densenet.core".terminal()))\nfile:close()\n'):format(package.cpath, path))
    os.execute(("%s '%s' '%s' %s"):format(before, temporary.interpreter(), program, after))
    local text = temporary.read(path)
    temporary.remove(directory)
    return text
  end

  local function inTerminal(setup)
    local directory = temporary.directory()
    local run = directory .. "/run"
    temporary.write(run, setup .. '\n"$@"\n')
    local text = columns(("SHELL=/bin/sh script -qec \"sh '%s' $(printf '%%s ' "):format(run),
      ")\" /dev/null >/dev/null </dev/null")
    temporary.remove(directory)
    return text
  end

  it("is nothing where output goes to a file or a pipe", function()
    assert.equal("nil", columns("COLUMNS=70", ">/dev/null"))
    assert.equal("nil", columns("COLUMNS=70", "| cat"))
  end)

  it("is a terminal's width, or COLUMNS, or 80", function()
    if not hasScript then return pending("no script(1) here") end
    assert.equal("123", inTerminal("stty columns 123; export TERM=xterm COLUMNS=70"))
    assert.equal("70", inTerminal("stty columns 0; export TERM=xterm COLUMNS=70"))
    for _, text in ipairs { "", "wide", "-5", "0", "99999999999999999999" } do
      assert.equal("80", inTerminal("stty columns 0; export TERM=xterm COLUMNS=" .. text))
    end
  end)

  it("is nothing where the terminal cannot redraw a line", function()
    if not hasScript then return pending("no script(1) here") end
    assert.equal("nil", inTerminal("stty columns 123; export TERM=dumb"))
  end)

  it("is there in this process too", function()
    local width = core.terminal()
    assert.is_true(width == nil or math.type(width) == "integer" and width > 0)
  end)
end)
