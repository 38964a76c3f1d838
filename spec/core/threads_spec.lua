-- Threads that compute: how many there are, that little work starts none, that those that wait sleep,
-- and that results do not depend on which thread had time for a part.

local core = require "densenet.core"
local temporary = require "spec.support.temporary"
require "densenet.tensor"

local build = os.getenv("DENSENET_BUILD") or "build"
local isSanitized = build ~= "build"
local config = temporary.read(build .. "/config.mk")
local hasThreads = config:find("OPENMP := %S") ~= nil
local areOwn = hasThreads and not config:find("OPENMP_LINK := %S") -- not those of clang's library

-- In a process of its own: nThreads() says how many threads the process has, large() computes with a team.
local COMMON = [[
  local function nThreads()
    for line in io.lines("/proc/self/status") do
      local n = line:match("^Threads:%s*(%d+)")
      if n then return tonumber(n) end
    end
  end
  local t = dn.ones(1 << 22)
  local function large() return t:mul(1) end
]]

local function printed(program, environment)
  return temporary.output(COMMON .. program, environment)
end

describe("the number of threads", function()
  it("is what OMP_NUM_THREADS says at first", function()
    if not areOwn then return pending("not our own threads") end
    for value, n in pairs { ["1"] = 1, ["3"] = 3, ["5,2"] = 5, ["99999"] = 1024 } do
      assert.equal(n .. "\n", printed("print(dn.threads())", "OMP_NUM_THREADS=" .. value))
    end
  end)

  it("is the number of processors where it says nothing", function()
    if not areOwn then return pending("not our own threads") end
    local n = printed("print(dn.threads())", "env -u OMP_NUM_THREADS")
    assert.matches("^[1-9]%d*\n$", n)
    assert.equal(n, printed("print(dn.threads())", "OMP_NUM_THREADS=many"))
    assert.equal(n, printed("print(dn.threads())", "OMP_NUM_THREADS=0"))
  end)

  it("is that of a team which there is work for", function()
    if not areOwn then return pending("not our own threads") end
    if not io.open("/proc/self/status") then return pending("no /proc here") end
    local program = [[
      local atFirst = nThreads()
      dn.threads(3)
      for n = 1, 20000, 1999 do dn.ones(n):add(1):mul(2):sum() end
      io.write(nThreads() - atFirst)
      large()
      io.write(" ", nThreads() - atFirst)
      large()
      print("", nThreads() - atFirst)]]
    assert.equal("0 2\t2\n", printed(program, "OMP_NUM_THREADS=1"))
  end)

  it("may be more than the system gives", function()
    if isSanitized or not areOwn then return pending("not our own threads, or all addresses are a sanitizer's") end
    local program = "dn.threads(200) print((dn.ones(1 << 23):add(1):sum()))"
    assert.equal("16777216.0\n", printed(program, "ulimit -v 200000;"))
  end)
end)

describe("a thread that waits", function()
  it("sleeps", function()
    if not hasThreads then return pending("built without OpenMP") end
    local seconds = tonumber(printed [[
      dn.threads(2)
      local pauses = io.popen("for i in $(seq 30); do sleep 0.02; echo; done")
      local spent = 0
      for _ = 1, 30 do
        large()
        local before = os.clock()
        pauses:read()
        spent = spent + os.clock() - before
      end
      print(spent)]])
    -- Of 600 ms; threads that hold a core for the 4 ms of libgomp's default would spend 120.
    assert.is_true(seconds < 0.03, tostring(seconds))
  end)
end)

describe("results", function()
  it("are the same where another thread has the team", function()
    local source = [[
      local core = require "densenet.core"
      require "densenet.tensor"
      return function(x, nTimes)
        core.threads(3)
        local sum = x:sum()
        for _ = 1, nTimes do assert(x:sum() == sum) end
        return sum
      end]]
    core.threads(3)
    local x = require("densenet").randn(300000)
    local expected = x:sum()
    local pool <close> = core.worker_pool(2, source)
    for i = 1, 4 do pool:submit(i, x, 200) end
    for _ = 1, 400 do assert.equal(expected, x:sum()) end
    for _ = 1, 4 do
      local _, ok, sum = pool:receive()
      assert.is_true(ok, sum)
      assert.equal(expected, sum)
    end
  end)
end)

describe("a product of matrices", function()
  it("is the module's own where OpenBLAS would ask for memory for ever", function()
    if isSanitized then return pending("a sanitizer needs all addresses there are") end
    if not config:find("BLAS_LIBRARY := [^\n]*openblas") then return pending("another BLAS") end
    local program = [[
      local a = dn.ones(300, 300)
      local function try()
        print(a:mm(a)[300][300])
      end
      dn.threads(2)
      try()
      local before = os.clock()
      os.execute("sleep 0.3")
      print(os.clock() - before < 0.1)
      dn.threads(1)
      try()]]
    for _, limit in ipairs { "ulimit -v 170000; timeout 20", "ulimit -v 280000; timeout 20", "" } do
      assert.equal("300.0\ntrue\n300.0\n", printed(program, limit))
    end
  end)

  it("starts no threads of the library's own", function()
    if not io.open("/proc/self/status") then return pending("no /proc here") end
    assert.equal("0\n", printed [[
      dn.threads(1)
      local atFirst, a = nThreads(), dn.ones(300, 300)
      a:mm(a)
      print(nThreads() - atFirst)]])
  end)
end)
