-- The emulated NCCL is as strict as the library: spec/support/nccl_misuse.cpp does to it what nccl.so never does.

local gpuRanks = require "spec.support.gpu_ranks"
local temporary = require "spec.support.temporary"
local ranksIt = gpuRanks.itWith(it, pending)

local function outputOf(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  pipe:close()
  return text
end

describe("the emulated NCCL", function()
  if not gpuRanks.isEmulated then return end
  local directory, program

  setup(function()
    directory = temporary.directory()
    program = directory .. "/misuse"
    if not gpuRanks.library then return end
    local build = temporary.absolute(os.getenv("DENSENET_BUILD") or "build") .. "/densenet"
    -- Where the objects are the sanitizers', so is the program.
    local isSanitized = outputOf(("ldd '%s/nccl.so'"):format(build)):find("libasan", 1, true)
    local said = outputOf(([[%s -std=c++17 %s -Ispec/support/cuda_emulation -o '%s' spec/support/nccl_misuse.cpp \
      '%s/nccl.so' '%s/cuda.so' -Wl,-rpath,'%s' 2>&1]]):format(os.getenv("CXX") or "g++",
      isSanitized and "-fsanitize=address,undefined" or "", program, build, build, build))
    assert(os.execute(("test -x '%s'"):format(program)), said)
  end)
  teardown(function() temporary.remove(directory) end)

  ranksIt(1, "is in progress first, and refuses what is early, twice or after the end", function()
    assert.equal([[
blocking: 4
rank 1 of 1: 4
init: 7
early: 4 the call before is still in progress
state at first: 7, then: 0
reduce: 7
unasked: 4 the call before is still in progress
is nothing on the stream: 1
state: 0
is something on the stream: 1
host memory: 4 a root or a pointer that is no good
root: 4 a root or a pointer that is no good
destroyed too early: 4 the communicator is not finalized
finalize: 7
behind the end: 4 the call before is still in progress
state: 0
held: 5 graphs hold the communicator
destroy: 0
again: 4 the communicator is not finalized
abort: 0
after abort: 4 the communicator is over
asked after abort: 4 the communicator is over
aborted again: 4 the communicator is over
]], outputOf("'" .. program .. "' 2>&1"))
  end)

  -- Both ranks' outputs, where they differ in this.
  local function differ(how)
    local address = ("NCCL_COMM_ID=%s:%s"):format(directory, how)
    local text = outputOf(("%s timeout 20 '%s' 1 %s > '%s/1' 2>&1 & %s timeout 20 '%s' 0 %s 2>&1; wait"):format(address,
      program, how, directory, address, program, how))
    return text, temporary.read(directory .. "/1")
  end

  ranksIt(2, "notices ranks that call different things", function()
    for how, sentence in pairs {
      count = "wait: rank 0 calls ncclAllReduce of 4 ncclFloat32, rank 1 ncclAllReduce of 3 ncclFloat32\n",
      type = "wait: rank 0 calls ncclAllReduce of 4 ncclFloat32, rank 1 ncclAllReduce of 4 ncclInt64\n",
      kind = "wait: rank 0 calls ncclAllReduce of 4 ncclFloat32, rank 1 ncclBroadcast of 4 ncclFloat32\n",
    } do
      local first, second = differ(how)
      assert.equal("init: 0\n" .. sentence, first)
      assert.matches("^init: 0\nwait: rank 1 calls .* of .*, rank 0 ncclAllReduce of 4 ncclFloat32\n$", second)
    end
  end)

  ranksIt(2, "notices ranks that were told different numbers of ranks, or the same rank", function()
    local first, second = differ "numbers"
    assert.matches("^init: %d", first)
    assert.matches("init: 4 ranks were told different numbers of ranks", first .. second, 1, true)
    first, second = differ "ranks"
    assert.matches("init: 2 rank 0 is there twice", first .. second, 1, true)
  end)
end)
