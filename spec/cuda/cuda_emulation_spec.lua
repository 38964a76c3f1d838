-- The emulation notices what a GPU would do wrong: kernels that are broken on purpose, each in a process
-- of its own, because the device is lost afterwards.

local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local is_emulated = core.cuda_emulation("reverse", 0)

-- Whether broken kernel n gave the right results, threads in this order; and all it printed.
local function results_of(n, order)
  local path = temporary.write(os.tmpname(), ([[
    package.cpath = %q
    local core = require "densenet.core"
    assert(core.device_find "cuda:0")
    core.cuda_emulation("reverse", %d)
    local is_right = core.cuda_emulation("broken", %d)
    local found, message = pcall(core.synchronize, "cuda:0")
    print(is_right, found and "" or message)
  ]]):format(package.cpath, order, n))
  local pipe = assert(io.popen(("%s %s 2>&1"):format(temporary.interpreter(), path)))
  local output = pipe:read("a")
  pipe:close()
  os.remove(path)
  -- The sanitizer is told of every switch of stacks, and warns of swapcontext all the same.
  return (output:gsub("==%d+==WARNING: ASan doesn't fully support[^\n]*\n", ""))
end

describe("the emulation", function()
  if not is_emulated then return end

  for _, order in ipairs { 0, 1 } do
    local way = order == 0 and " (forward)" or " (in reverse)"

    it("runs a right kernel" .. way, function() assert.matches("^true\t\n$", results_of(0, order)) end)

    it("notices a barrier that not all threads reach" .. way, function()
      assert.matches("^false\t.*32 threads wait at a barrier that 32 others never reach", results_of(1, order))
    end)

    it("notices a write behind shared memory" .. way, function()
      local output = results_of(2, order)
      assert.is_truthy(output:find("wrote outside of its shared memory") or output:find("AddressSanitizer"))
    end)

    it("shows a missing barrier" .. way, function() assert.matches("^false\t\n$", results_of(3, order)) end)

    it("fills shared memory with NaN" .. way, function() assert.matches("^false\t\n$", results_of(4, order)) end)

    it("notices a lane that is missing in an exchange" .. way, function()
      assert.matches("^false\t.*wait for their warps", results_of(5, order))
    end)
  end
end)
