-- A short piece of make soak: its three kinds of rounds find nothing, and find what is broken on purpose.
local temporary = require "spec.support.temporary"

local build = os.getenv("DENSENET_BUILD") or "build"

describe("soak.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- Exit status and output.
  local function soak(line, environment)
    local pipe = io.popen(("%s '%s' scripts/soak.lua -minutes 5 -directory '%s/soak' %s 2>&1"):format(environment or "",
      temporary.interpreter(), directory, line))
    local output = pipe:read("a")
    local _, _, status = pipe:close()
    return status, output
  end

  local function isPossible()
    if build:find("asan") then return nil, "the sanitizers need more addresses, and to be loaded first" end
    local made = os.execute(("cc -shared -fPIC spec/support/file_faults.c -o '%s/faults.so' -ldl 2>/dev/null")
      :format(directory))
    if not made then return nil, "file_faults.c does not build here" end
    return true
  end

  it("kills, refuses and damages, and all is well", function()
    local possible, why = isPossible()
    if not possible then return pending(why) end
    for kind, count in pairs { kill = "ended by a signal (%d+)", fault = "(%d+) runs with failing file operations",
      mutate = "(%d+) damaged files" } do
      local status, output = soak(("-seed 1 -rounds 3 -kinds %s -faults '%s/faults.so'"):format(kind, directory))
      assert.equal(0, status, output)
      assert.matches("^seed 1, [%d.]+ minutes: 3 rounds, .*; 0 problems\n$", output)
      assert.is_true(tonumber(output:match(count)) > 0, output)
      temporary.remove(directory .. "/soak")
    end
  end)

  it("sees a run that cannot be resumed, and one that ends otherwise than one left in peace", function()
    local possible, why = isPossible()
    if not possible then return pending(why) end
    local here = io.popen("pwd"):read("l")
    for program, problem in pairs {
      ['error("broken")'] = "a traceback: ",
      [('package.preload["densenet.optim.schedule"] = function() local schedule = dofile("%s/lua/densenet/optim/'
        .. 'schedule.lua") local make = schedule.multistep schedule.multistep = function(o) o.learningRate = '
        .. '2 * o.learningRate return make(o) end return schedule end'):format(here)] = "not as in an undisturbed run",
    } do
      local init = ("LUA_INIT='if table.concat(arg, \" \"):find(\"-resume\", 1, true) then %s end'"):format(program)
      local status, output = soak("-seed 2 -rounds 4 -kinds kill", init)
      assert.equal(1, status, output)
      assert.matches(problem, output, 1, true)
      temporary.remove(directory .. "/soak")
    end
  end)
end)
