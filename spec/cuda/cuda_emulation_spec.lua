-- The emulation notices what a GPU would do wrong: kernels that are broken on purpose, each in a process
-- of its own, because the device is lost afterwards.

local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local is_emulated = core.testing.cuda_emulation("reverse", 0)
local finds_races = core.testing.cuda_emulation("races", 0)

-- Whether broken kernel n gave the right results, threads in this order; and all it printed.
local function results_of(n, order)
  return temporary.output(([[
    assert(core.device_find "cuda:0")
    core.testing.cuda_emulation("reverse", %d)
    local is_right = core.testing.cuda_emulation("broken", %d)
    local found, message = pcall(core.synchronize, "cuda:0")
    print(is_right, found and "" or message)
  ]]):format(order, n))
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

    -- Where races are found, these are told as such.
    it("shows a missing barrier" .. way, function()
      assert.matches(finds_races and "^false\t.*race" or "^false\t\n$", results_of(3, order))
    end)

    it("fills shared memory with NaN" .. way, function()
      assert.matches(finds_races and "^false\t.*nobody has written" or "^false\t\n$", results_of(4, order))
    end)

    it("notices sixteen bytes that begin at no multiple of sixteen" .. way, function()
      assert.matches("^false\t.*block 0,0,0: an access of 16 bytes at an address that is no multiple of 16 "
        .. "%(cudaErrorMisalignedAddress%)", results_of(15, order))
      assert.matches("^true\t\n$", results_of(18, order))
    end)

    it("gives a block the shared memory that was asked for, and no more" .. way, function()
      assert.matches("^true\t\n$", results_of(16, order))
      assert.matches("^true\t\n$", results_of(17, order)) -- refused: nobody asked
      assert.matches("^false\t.*232704 bytes of shared memory, declared and dynamic, where 232448 are allowed",
        results_of(19, order))
    end)

    it("notices a lane that is missing in an exchange" .. way, function()
      assert.matches("^false\t.*wait for their warps", results_of(5, order))
    end)
  end
end)

-- With protection keys, where the processor has them, and without.
describe("the emulation's memory", function()
  if not is_emulated then return end

  for _, guard in ipairs { "keys", "pages" } do
    local function output_of(program)
      return temporary.output("assert(core.device_find 'cuda:0')\nio.stdout:setvbuf 'no'\n" .. program,
        "DENSENET_EMULATED_GUARD=" .. guard)
    end

    it("is closed to the host after work, guarded by " .. guard, function()
      local output = output_of "print 'before' core.testing.cuda_emulation('broken', 14) print 'behind'"
      assert.matches("before\n", output, 1, true)
      assert.not_matches("behind", output, 1, true)
    end)

    it("closes time and again when it is large, guarded by " .. guard, function()
      local output = output_of [[
        local large = core.tensor_new("cuda:0", "float", { 1 << 20 })
        print "before"
        for _ = 1, 20 do core.testing.cuda_emulation("broken", 14) end
        print "behind" ]]
      assert.matches("before\n", output, 1, true)
      assert.not_matches("behind", output, 1, true)
    end)

    it("is open to work, guarded by " .. guard, function()
      assert.equal("true\n3.0\n", output_of [[
        print(core.testing.cuda_emulation("broken", 0))
        local x = core.tensor_new("cuda:0", "float", { 1 << 20 })
        core.fill(x, 3)
        local few = x:narrow(1, 1, 8)
        for _ = 1, 50 do core.unary(few, few, "abs") end
        print(x:at(1 << 20)) ]])
    end)
  end
end)

-- make racecheck-cuda-emulated
describe("the emulation that finds races", function()
  if not finds_races then return end

  local THREADS = "thread %d+ %a+ (%a+) memory that thread %d+ of block (%d) %a+, and nothing orders them"

  local function race_of(n, order)
    local output = results_of(n, order)
    local kind, other = output:match("a broken kernel, block %d,0,0: a race: " .. THREADS)
    assert(kind, output)
    return kind, output:match("block (%d),0,0") ~= other
  end

  for _, order in ipairs { 0, 1 } do
    local way = order == 0 and " (forward)" or " (in reverse)"
    local function finds(what, n, kind, is_of_two_blocks)
      it("finds " .. what .. way, function()
        assert.same({ kind, is_of_two_blocks }, { race_of(n, order) })
      end)
    end

    finds("a missing __syncthreads", 3, "shared", false)
    finds("a missing __syncwarp, where lanes exchange values instead", 6, "shared", false)
    finds("a value that all threads write", 7, "shared", false)
    finds("two blocks that write one place", 8, "device", true)
    finds("a block that reads what another one writes", 9, "device", true)
    finds("a write beside atomic operations", 10, "device", false)
    finds("a write that does not wait for readers of other warps", 12, "shared", false)

    it("finds a read of memory that nobody has written" .. way, function()
      assert.matches("a broken kernel, block 0,0,0: thread %d+ reads shared memory that nobody has written",
        results_of(4, order))
      assert.matches("a broken kernel, block 0,0,0: thread %d+ reads device memory that nobody has written",
        results_of(11, order))
    end)

    it("lets pass what barriers and atomic operations order" .. way, function()
      assert.matches("^true\t\n$", results_of(0, order))
      assert.matches("^true\t\n$", results_of(13, order))
    end)
  end
end)
