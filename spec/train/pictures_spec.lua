-- Folders of pictures through main.lua: the folder of examples/pictures.lua is trained on, tested, killed in the middle
-- of an epoch and resumed, and has bad images; docs/pictures.md's commands run.
local core = require "densenet.core"
local dn = require "densenet"
local json = require "densenet.io.json"
local mainProcess = require "spec.support.main_process"
local ranks = require "spec.support.ranks"
local temporary = require "spec.support.temporary"

local absolute = temporary.absolute
local tiny = "-dataset imagenet -data pictures -imageSize 24 -d1 1 -d2 1 -growthRate 4 -batchSize 4 -LR 0.01 "
  .. "-device cpu -nCores 1 "

describe("pictures", function()
  local made, directory

  -- What a command of the shell writes, run in `directory` with our build.
  local function shell(command)
    local pipe = io.popen(("cd '%s' && export DENSENET_BUILD='%s' OMP_WAIT_POLICY=passive LUA_PATH_5_4='%s' "
      .. "LUA_CPATH_5_4='%s' && { %s; } 2>&1"):format(directory, absolute(os.getenv("DENSENET_BUILD") or "build"),
      absolute "lua" .. "/?.lua;" .. absolute "lua" .. "/?/init.lua;;",
      absolute(os.getenv("DENSENET_BUILD") or "build") .. "/?.so;;", command))
    local output = pipe:read("a")
    local done = pipe:close()
    return done, output
  end

  -- The folder is drawn once, and each test has a copy.
  setup(function()
    made = temporary.directory()
    directory = made
    local done, output = shell(("'%s' '%s' pictures 10 1"):format(temporary.interpreter(),
      absolute "examples/pictures.lua"))
    assert(done, output)
    assert.matches("train train: 24 images in 3 classes.*epoch 1 of 1  loss %d.*on 6 test pictures: [%d.]+ %%", output)
  end)
  teardown(function() temporary.remove(made) end)

  before_each(function()
    directory = temporary.directory()
    -- A folder that changed just before it was listed has an index that is not believed.
    os.execute(("cp -r '%s/pictures' '%s/pictures' && sleep 0.1"):format(made, directory))
  end)
  after_each(function() temporary.remove(directory) end)

  local function run(line, before)
    local status, stdout, stderr = mainProcess.run(directory, line, before)
    return status, stdout, stderr
  end

  local function runs(line)
    local status, stdout, stderr = run(line)
    assert.equal(0, status, stderr)
    assert.equal("", stderr)
    return stdout
  end

  -- The rows of a log but for their seconds.
  local function rows(name)
    local list = {}
    for row in temporary.read(directory .. "/" .. name .. "/log.tsv"):gmatch("[^\n]+") do
      list[#list + 1] = row:gsub("\t[^\t]*\t[^\t]*$", "")
    end
    return list
  end

  it("are trained on and tested, and the model file says what it saw", function()
    local stdout = runs(tiny .. "-nEpochs 1 -save a -gen index -perClass true -labelSmoothing 0.1 -classWeights auto "
      .. "-sampling balanced -randomErasing 0.3")
    for _, part in ipairs { "mean and deviation from all 24 images, in ",
      "train: +imagenet train: 24 images in 3 classes",
      "24 images in 3 classes, scanned in", "test: +imagenet val: 6 images", " |  +%d+.000  disc %(of 2 images%)" } do
      assert.matches(part, stdout)
    end
    local table_ = temporary.read(directory .. "/a/classes.tsv")
    assert.matches("^epoch\tcross\tdisc\tstripes\n1\t%d+\t%d+\t%d+\n$", table_)
    local _, metadata = dn.safetensors.load(directory .. "/a/model_best.safetensors")
    local state = json.decode(metadata.densenet)
    assert.same({ "cross", "disc", "stripes" }, { table.unpack(state.classes) })
    assert.same({ 3, 24, 24 }, { table.unpack(state.inputSize) })
    assert.equal(24, state.preprocess.crop)
    assert.equal(27, state.preprocess.scale)
    assert.same({ table.unpack(state.mean) }, { table.unpack(state.preprocess.mean) })
    stdout = runs("-retrain a/model_best.safetensors -testOnly true -data pictures -device cpu -gen index")
    assert.matches("6 images in 3 classes, as index/imagenet%-val%-index.safetensors has them", stdout)
    assert.matches("test: +imagenet val: 6 images in 3 classes, 3x24x24", stdout)
    local plain = stdout:match("top1: +([%d.]+)")
    assert.equal(plain, runs("-resume a -testOnly true -split val -device cpu"):match("top1: +([%d.]+)"))
    assert.matches("of 6 images", runs("-resume a -testOnly true -tenCrop true -device cpu"))
  end)

  it("can be killed in the middle of an epoch, and go on exactly", function()
    local line = tiny:gsub("batchSize 4", "batchSize 1") .. "-nEpochs 2 -saveEvery 1 -nThreads 2 "
    runs(line .. "-save whole")
    os.execute(("cd '%s' && { %s & } && echo $! >pid"):format(directory,
      mainProcess.command(line .. "-save killed")))
    local caught
    for _ = 1, 600 do
      for _, name in ipairs(core.directory_list(directory .. "/killed") or {}) do
        caught = caught or name:match("^model_(%d_[1-9]%d*)%.safetensors$")
      end
      if caught then break end
      os.execute "sleep 0.01"
    end
    os.execute(("kill -KILL $(cat '%s/pid')"):format(directory))
    assert.is_truthy(caught)
    local stdout = runs("-resume killed -device cpu")
    assert.matches("resumes: +killed, after", stdout)
    assert.same(rows "whole", rows "killed")
    assert.equal(temporary.read(directory .. "/whole/classes.tsv"), temporary.read(directory .. "/killed/classes.tsv"))
    local whole = dn.safetensors.load(directory .. "/whole/model_2.safetensors")
    local killed = dn.safetensors.load(directory .. "/killed/model_2.safetensors")
    for name, tensor in pairs(whole) do assert.same(tensor:totable(), killed[name]:totable(), name) end
    assert.is_nil(stdout:find("other files", 1, true))
    os.execute(("cp '%s/pictures/train/disc/1.png' '%s/pictures/train/disc/90.png'"):format(directory, directory))
    assert.matches("changes: +the folder trained on holds other files than it did %(25 images, it had 24%)",
      runs("-resume killed -nEpochs 3 -device cpu"))
  end)

  ranks.it(it, pending)("are shared by two processes, with the weights and the errors of classes of all", function()
    local line = tiny .. "-nEpochs 1 -precision double -classWeights auto -labelSmoothing 0.1 -randomErasing 0.2 "
      .. "-gen index -badImages skip "
    temporary.write(directory .. "/pictures/train/disc/3.png", "<html>")
    runs(line .. "-save one")
    -- MPI itself leaves memory behind.
    local before = os.getenv "ASAN_OPTIONS" and "export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0" or nil
    local status, _, stderr = run(line .. "-nProcesses 2 -syncBN true -save two", before)
    assert.equal(0, status, stderr)
    assert.equal(temporary.read(directory .. "/one/classes.tsv"), temporary.read(directory .. "/two/classes.tsv"))
    local one = dn.safetensors.load(directory .. "/one/model_1.safetensors")
    local two = dn.safetensors.load(directory .. "/two/model_1.safetensors")
    for name, tensor in pairs(one) do
      assert.is_true((tensor:double() - two[name]:double()):abs():max() < 1e-10, name)
    end
    status, _, stderr = run(tiny .. "-nEpochs 1 -nProcesses 2 -save three", before)
    assert.equal(1, status)
    assert.matches("pictures/train/disc/3.png: is an HTML page", stderr)
  end)

  it("stop a run by name where one cannot be read, or are skipped with a line", function()
    temporary.write(directory .. "/pictures/train/disc/3.png", "<html>")
    for _, threads in ipairs { 0, 2 } do
      local status, _, stderr = run(tiny .. "-nEpochs 1 -save a -nThreads " .. threads)
      assert.equal(1, status)
      assert.equal("main.lua: pictures/train/disc/3.png: is an HTML page (of a download that failed?); JPEG, PNG, BMP "
        .. "and PPM are read\n", stderr)
    end
    local stdout = runs(tiny .. "-nEpochs 1 -save b -badImages skip")
    assert.matches(" | 1 images could not be read, and others of their classes stood for them:\n |   "
      .. "pictures/train/disc/3.png: is an HTML page", stdout, 1, true)
    -- One that is bad only when its batch comes: the statistics were read before.
    temporary.write(directory .. "/pictures/val/disc/9.png", "")
    local status, _, stderr = run(tiny .. "-nEpochs 1 -save c -resume b -nEpochs 2 -badImages error")
    assert.equal(2, status, stderr) -- a resumed run has its own options
    status, _, stderr = run("-resume b -nEpochs 2 -badImages error -device cpu")
    assert.equal(1, status)
    assert.matches("^main.lua: pictures/%a+/disc/%d.png: is [^\n]*\n$", stderr)
  end)

  it("are split as their folders say", function()
    os.execute(("cd '%s/pictures' && cp -r val test && rm test/disc/9.png && mkdir ../lone "
      .. "&& cp -r train ../lone/train"):format(directory))
    local stdout = runs(tiny .. "-nEpochs 1 -save a")
    assert.matches("validation: imagenet val: 6 images", stdout)
    assert.matches("test: +imagenet test: 5 images", stdout)
    assert.matches("Best: validation error", stdout)
    assert.matches("of 5 images", runs("-resume a -testOnly true -device cpu"))
    assert.matches("of 6 images", runs("-resume a -testOnly true -split val -device cpu"))
    local lone = tiny:gsub("pictures", "lone")
    local status, _, stderr = run(lone .. "-save b")
    assert.equal(2, status)
    assert.matches("lone: there is no val to test on: expected lone/val/<class>/<image>, or %-valSize N", stderr)
    stdout = runs(lone .. "-valSize 6 -nEpochs 1 -save b")
    assert.matches("train: +imagenet train: 18 images of its 24", stdout)
    assert.matches("test: +imagenet train: 6 images of its 24", stdout)
    assert.matches("%(of 6 images%)", stdout)
    stdout = runs(tiny .. "-trainSize 9 -testSize 2 -nEpochs 1 -save c")
    assert.matches("9 images of its 24 in 3 classes", stdout)
    status, _, stderr = run(tiny .. "-valSize 3 -save d")
    assert.equal(2, status)
    assert.matches("%-valSize 3: pictures has val, which chooses the best model", stderr)
  end)

  it("have as many classes as folders", function()
    local status, _, stderr = run(tiny .. "-nClasses 4")
    assert.equal(2, status)
    assert.matches("main.lua: %-nClasses 4: pictures has 3 classes\n", stderr)
    runs(tiny .. "-nEpochs 1 -save a")
    os.execute(("cd '%s/pictures' && rm -r train/disc val/disc"):format(directory))
    status, _, stderr = run("-dataset imagenet -data pictures -retrain a/model_best.safetensors -device cpu -save b")
    assert.equal(1, status)
    assert.matches("the network tells 3 classes apart, imagenet has 2; %-retrain FILE %-resetClassifier true", stderr)
    assert.matches("2 classes", runs("-dataset imagenet -data pictures -retrain a/model_best.safetensors "
      .. "-resetClassifier true -device cpu -save b -nEpochs 1 -imageSize 24"))
  end)

  it("have the errors of their classes beside a log elsewhere, and those of an earlier run are moved aside", function()
    local line = tiny .. "-nEpochs 1 -log table.tsv "
    runs(line .. "-save a")
    assert.matches("^epoch\tcross\tdisc\tstripes\n1\t", temporary.read(directory .. "/table_classes.tsv"))
    os.execute(("cd '%s/pictures' && rm -r train/disc val/disc"):format(directory))
    local stdout = runs(line .. "-save b")
    assert.matches("table.tsv holds the log of an earlier run, which is now table.tsv.1\n", stdout)
    assert.matches("table_classes.tsv holds the log of an earlier run, which is now table_classes.tsv.1\n", stdout)
    assert.matches("^epoch\tcross\tstripes\n1\t", temporary.read(directory .. "/table_classes.tsv"))
    temporary.write(directory .. "/table_classes.tsv", "mine")
    local status, _, stderr = run(line .. "-save c")
    assert.equal(1, status)
    assert.matches("table_classes.tsv exists and is not a log of this program", stderr)
    assert.equal("mine", temporary.read(directory .. "/table_classes.tsv"))
  end)

  it("are tested with the classes of the training, whatever folders there are", function()
    runs(tiny .. "-nEpochs 1 -save a")
    os.execute(("cd '%s/pictures' && rm -r val/disc train"):format(directory))
    local stdout = runs("-retrain a/model_best.safetensors -testOnly true -data pictures -device cpu -perClass true")
    assert.matches("pictures/val lacks class disc", stdout)
    assert.matches(" |        %-  disc %(no images%)\n |  +%d+.000  stripes %(of 2 images%)", stdout)
    os.execute(("mkdir '%s/pictures/val/square' && cp '%s/pictures/val/cross/9.png' '%s/pictures/val/square'")
      :format(directory, directory, directory))
    local status, _, stderr = run("-retrain a/model_best.safetensors -testOnly true -data pictures -device cpu")
    assert.equal(1, status)
    assert.matches("pictures/val: has class square, which is none of the classes trained on", stderr)
  end)

  it("are seen in grey where that is asked for", function()
    local stdout = runs(tiny .. "-inputChannels 1 -nEpochs 1 -save a -filter bilinear -scaleSize 24")
    assert.matches("1x24x24", stdout)
    assert.matches("1x24x24", runs("-retrain a/model_best.safetensors -testOnly true -data pictures -device cpu"))
  end)
end)

describe("docs/pictures.md", function()
  it("shows commands that run, one after the other", function()
    local directory = temporary.directory()
    finally(function() temporary.remove(directory) end)
    local build = absolute(os.getenv("DENSENET_BUILD") or "build")
    local n = 0
    for block in temporary.read("docs/pictures.md"):gmatch("```sh\n(.-)```") do
      for line in block:gmatch("[^\n]+") do
        -- The same with fewer pictures and epochs, in an empty directory.
        local command = line:gsub("%s+#.*$", ""):gsub("%-nEpochs %d+", "-nEpochs 1"):gsub("^eval[^;]*; ", "")
          :gsub("^lua5%.4 (%S+)", function(script) return temporary.interpreter() .. " " .. absolute(script) end)
          :gsub("pictures%.lua pictures$", "%0 10 1")
        local pipe = io.popen(("cd '%s' && export DENSENET_BUILD='%s' OMP_WAIT_POLICY=passive LUA_PATH_5_4='%s' "
          .. "LUA_CPATH_5_4='%s' && { %s; } 2>&1"):format(directory, build,
          absolute "lua" .. "/?.lua;" .. absolute "lua" .. "/?/init.lua;;", build .. "/?.so;;", command))
        local output = pipe:read("a")
        assert.message(command .. "\n" .. output).is_truthy(pipe:close())
        n = n + 1
      end
    end
    assert.is_true(n >= 4)
  end)
end)
