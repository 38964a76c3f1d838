-- main.lua -nGPU N: a process for each GPU, joined by NCCL, that train what one trains; resumed on another number of
-- GPUs; and one of them that is killed.

local gpuRanks = require "spec.support.gpu_ranks"
local temporary = require "spec.support.temporary"
local ranksIt = gpuRanks.itWith(it, pending)

local build = temporary.absolute(os.getenv("DENSENET_BUILD") or "build")

-- MNIST as far as files and sizes go: ten images, again and again.
local function writeImages(directory, name, n)
  local pixels, labels = {}, {}
  for i = 1, 10 * 28 * 28 do pixels[i] = string.char(math.random(0, 255)) end
  for i = 1, 10 do labels[i] = string.char(i - 1) end
  temporary.write(("%s/%s-images-idx3-ubyte"):format(directory, name),
    string.pack(">I4I4I4I4", 0x803, n, 28, 28) .. table.concat(pixels):rep(n // 10))
  temporary.write(("%s/%s-labels-idx1-ubyte"):format(directory, name),
    string.pack(">I4I4", 0x801, n) .. table.concat(labels):rep(n // 10))
end

describe("main.lua -nGPU", function()
  local directory, tiny
  setup(function()
    directory = temporary.directory()
    math.randomseed(3)
    writeImages(directory, "train", 60000)
    writeImages(directory, "t10k", 10000)
    tiny = ("-dataset mnist -data '%s' -d1 1 -d2 1 -growthRate 2 -batchSize 8 -testSize 8 -nThreads 0 "):format(
      directory)
  end)
  teardown(function() temporary.remove(directory) end)

  local function read(name) return temporary.read(directory .. "/" .. name) end

  -- A shell command that runs main.lua with this line, at most 100 s of it.
  local function commandOf(line)
    return ("exec timeout -s KILL 100 env DENSENET_BUILD='%s' DENSENET_EMULATED_GPUS=2 '%s' '%s' %s"):format(build,
      temporary.interpreter(), temporary.absolute "main.lua", tiny .. line)
  end

  -- Returns the exit status, stdout and stderr.
  local function run(line)
    local _, _, status = os.execute(("cd '%s'; (%s) > stdout 2> stderr"):format(directory, commandOf(line)))
    return status, read "stdout", read "stderr"
  end

  -- Of the last row of a run's log: its losses, in training and in the test.
  local function losses(name)
    local names, values, i = {}, {}, 0
    local header, row = read(name .. "/log.tsv"):match("^([^\n]*)\n.-([^\n]*)\n$")
    for word in (header .. "\t"):gmatch("([^\t]*)\t") do names[#names + 1] = word end
    for word in (row .. "\t"):gmatch("([^\t]*)\t") do
      i = i + 1
      values[names[i]] = tonumber(word)
    end
    return { values.train_loss, values.test_loss }
  end

  local function checkNear(expected, found, tolerance)
    for i = 1, 2 do
      local off = math.abs(found[i] - expected[i])
      assert.is_true(off <= tolerance, ("%.9f expected, got %.9f"):format(expected[i], found[i]))
    end
  end

  ranksIt(2, "2 trains what one GPU trains, and either goes on where the other has saved", function()
    local line = "-trainSize 28 -syncBN true -precision double -nEpochs %d -nGPU %d -save %s"
    for n = 1, 2 do
      local status, out, err = run(line:format(1, n, "of" .. n))
      assert.equal(0, status, err .. out)
      assert.equal("", err)
      assert.matches("Finished epoch # 1", out, 1, true)
      os.execute(("cp -R '%s/of%d' '%s/moved%d'"):format(directory, n, directory, 3 - n))
    end
    checkNear(losses "of1", losses "of2", 1e-9)
    for n = 1, 2 do
      local status, out, err = run(("-nGPU %d -nEpochs 2 -resume moved%d"):format(n, n))
      assert.equal(0, status, err .. out)
      status, out, err = run(("-nGPU %d -nEpochs 2 -resume of%d"):format(n, n))
      assert.equal(0, status, err .. out)
    end
    for _, name in ipairs { "of2", "moved1", "moved2" } do checkNear(losses "of1", losses(name), 1e-9) end
  end)

  ranksIt(2, "2 of which one is killed ends with a sentence and a whole checkpoint", function()
    -- The launcher's last child is rank 1.
    local killing = ([[cd '%s'
      (%s) > stdout 2> stderr &
      while ! ls killed/model_*.safetensors > /dev/null 2>&1 && kill -0 $! 2> /dev/null; do sleep 0.1; done
      sleep 1
      launcher=$!
      for child in $(cat /proc/$launcher/task/$launcher/children); do launcher=$child; done
      for child in $(cat /proc/$launcher/task/$launcher/children); do last=$child; done
      kill -KILL $last
      wait $!
      exit $?]]):format(directory, commandOf "-trainSize 4000 -saveEvery 1 -nEpochs 1 -nGPU 2 -save killed")
    local script = temporary.write(directory .. "/kill.sh", killing)
    local _, _, status = os.execute(("sh '%s'"):format(script))
    local err = read "stderr"
    assert.equal(137, status, err)
    assert.matches("rank 0 of 2: rank 1 has ended %(process %d+; NCCL [%d.]+: .*%)\n", err)
    assert.matches("main.lua: rank 1 %(cuda:1, pid %d+%) ended with signal 9 after %d+ batch.*; "
      .. "all others were ended%. The last checkpoint is .*killed", err)
    local out
    status, out, err = run "-resume killed -nGPU 1 -plan"
    assert.equal(0, status, err .. out)
  end)

  if gpuRanks.isEmulated then
    it("more than there are says how many there are", function()
      local status, _, err = run "-nGPU 3 -trainSize 28 -nEpochs 1 -save none"
      assert.equal(1, status)
      assert.matches("3 processes are to have a GPU each, and this machine has 2 GPUs, cuda:0 to cuda:1", err, 1, true)
    end)
  end
end)
