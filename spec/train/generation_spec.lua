-- Generated weights on the command line: options that do not go together, a teacher, runs killed and resumed, exports,
-- and what is planned.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local train = dn.train
local NETWORK = "-dataset mnist -d1 1 -d2 1 -growthRate 4 -batchSize 8 -nEpochs 2 -saveEvery 1 "
local MLG = NETWORK .. "-mlg true -mlgRule published "

local function words(line)
  local argv = {}
  for word in line:gmatch "%S+" do argv[#argv + 1] = word end
  return argv
end

local function parse(line) return train.options.parse(words(line)) end

local function has(text, part) assert.matches(part, text, 1, true) end

describe("options of generated weights", function()
  it("choose RAdam with its rate, decay and shape, unless others are given", function()
    local values = assert(parse "-mlg true")
    assert.same({ "radam", 0.002, 5e-4, "cosine", 0 }, { values.optimizer, values.LR, values.weightDecay,
      values.lrShape, values.distill })
    values = assert(parse "-mlg true -optimizer sgd -LR 0.3 -teacher x")
    assert.same({ "sgd", 0.3, 1e-4, "multistep", 0.9 }, { values.optimizer, values.LR, values.weightDecay,
      values.lrShape, values.distill })
    values = assert(parse "-mlg true -weightDecay 0.1 -lrShape multistep")
    assert.same({ 0.1, "multistep" }, { values.weightDecay, values.lrShape })
    values = assert(parse "-optimizer radam")
    assert.same({ 1e-4, "multistep" }, { values.weightDecay, values.lrShape })
  end)

  it("leave what is no option's alone: nothing generated, weights of 4 bits", function()
    assert.is_truthy(parse "-mlg true -mlgBaseIn 0 -mlgBaseOutRatio 0 -mlgPlainBits 4")
    assert.is_truthy(parse "-mlg true -mlgBaseOut 44")
  end)

  for _, case in ipairs {
    { "-mlg true -mlgBasisBits 1", "-mlgBasisBits 1: expected an integer of at least 2" },
    { "-mlg true -mlgCoeffInBits 17", "-mlgCoeffInBits must be 2 to 16, or 32, got 17" },
    { "-mlg true -mlgCoeffOutBits 31", "-mlgCoeffOutBits must be 2 to 16, or 32, got 31" },
    { "-mlg true -mlgPlainBits 20", "-mlgPlainBits must be 2 to 16, or 32, got 20" },
    { "-mlg true -mlgBaseOutRatio 2", "-mlgBaseOutRatio" },
    { "-mlg true -mlgBaseOut 4 -mlgBaseOutRatio 0.5", "-mlgBaseOut 4 and -mlgBaseOutRatio 0.5 say the same thing" },
    { "-mlg true -distill 0.5", "-distill 0.5 needs the outputs of -teacher FILE" },
    { "-mlg true -temperature 2", "-temperature needs -teacher FILE" },
    { "-mlg true -mlgProjection svd", "-mlgProjection needs -teacher FILE" },
    { "-teacher x", "-teacher is of generated weights: it needs -mlg true" },
    { "-mlgBaseIn 3", "-mlgBaseIn is of generated weights: it needs -mlg true" },
    { "-mlgExport x", "-mlgExport x needs a trained network: -retrain FILE or -resume DIRECTORY" },
    { "-mlg true -mlgExportDense x", "-mlgExportDense x needs a trained network" },
  } do
    it("refuse " .. case[1], function()
      local values, message = parse(case[1])
      assert.is_nil(values)
      has(message, case[2])
    end)
  end
end)

describe("a run with generated weights", function()
  local directory, teacher
  lazy_setup(function()
    directory = temporary.directory()
    assert(smallRun.go(NETWORK .. "-save " .. directory .. "/teacher"))
    teacher = directory .. "/teacher/model_best.safetensors"
  end)
  lazy_teardown(function() temporary.remove(directory) end)

  local function line(name, more) return ("%s%s -save %s/%s"):format(MLG, more or "", directory, name) end
  local function ofTeacher(name, more)
    return line(name, ("-teacher %s -mlgProjectionSteps 3 %s"):format(teacher, more or ""))
  end
  local function refused(text, code, ...)
    local run, message, got = smallRun.go(...)
    assert.is_nil(run)
    assert.equal(code, got)
    has(message, text)
  end

  it("starts from a teacher, distils, and says what it does", function()
    local run = assert(smallRun.go(ofTeacher "a"))
    local said = table.concat(run.lines, "\n")
    has(said, "generates 6 of 6 convolutions from 2, ratio 0.5; 4-6-4 bits, others 8, published rule: 0.")
    has(said, "projected from " .. teacher .. " by svd+train in ")
    has(said, "running statistics of 3 batches")
    assert.equal("nn.DistillationCriterion", run.trainer.criterion.__typename)
    local names = assert(dn.safetensors.load(directory .. "/a/model_2.safetensors"))
    assert.is_truthy(names["features.conv0.basis"] and names["classifier.basis"])
    assert.is_nil(names["features.conv0.weight"])
  end)

  it("killed after any batch and resumed ends with the same bytes", function()
    assert(smallRun.go(ofTeacher "whole"))
    for stop = 1, 5, 2 do
      local n, name = 0, "killed" .. stop
      local run, _, code = smallRun.go(ofTeacher(name), function()
        return n >= stop and 1 or 0, 2
      end, function(run)
        local afterBatch = run.trainer.onBatch
        run.trainer.onBatch = function(...)
          n = n + 1
          return afterBatch(...)
        end
      end)
      assert.is_nil(run)
      assert.equal("interrupted", code)
      assert(smallRun.go("-resume " .. directory .. "/" .. name))
      for _, file in ipairs { "model_2", "optimState_2", "model_best" } do
        assert.equal(temporary.read(("%s/whole/%s.safetensors"):format(directory, file)),
          temporary.read(("%s/%s/%s.safetensors"):format(directory, name, file)), file)
      end
    end
  end)

  it("is not resumed with another teacher's file, or other settings", function()
    assert(smallRun.go(ofTeacher "b"))
    local bytes = temporary.read(teacher)
    temporary.write(teacher, bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1))
    refused("is another file than the run began with: its checksum is ", "format",
      ("-resume %s/b -nEpochs 3"):format(directory))
    temporary.write(teacher, bytes)
    refused("a resumed run cannot change -mlgBaseIn 3 (the checkpoint has 2)", "usage",
      ("-resume %s/b -mlgBaseIn 3"):format(directory))
    assert(smallRun.go(("-resume %s/b -nEpochs 3"):format(directory)))
  end)

  it("refuses a teacher of another network, naming both", function()
    local message = select(2, smallRun.go((ofTeacher("c"):gsub("%-growthRate 4", "-growthRate 5"))))
    has(message, "-teacher " .. teacher .. " (DenseNet-BC: blocks of 1, 1 layers, growth rate 4) is of another network "
      .. "than the student (DenseNet-BC: blocks of 1, 1 layers, growth rate 5)")
    refused("cannot read " .. directory .. "/nobody", "io", line("c", "-teacher " .. directory .. "/nobody"))
    assert(smallRun.go(line("ordinary", "-distill 0")))
    refused("has generated weights; expected an ordinary network, such as -mlgExportDense writes", "usage",
      line("c", ("-teacher %s/ordinary/model_best.safetensors"):format(directory)))
  end)

  it("of -retrain has the file's settings, and refuses others", function()
    assert(smallRun.go(line("d", "-mlgBaseIn 3")))
    local file = directory .. "/d/model_best.safetensors"
    local again = assert(smallRun.go(("-dataset mnist -batchSize 8 -nEpochs 1 -retrain %s -save %s/e"):format(file,
      directory)))
    assert.equal(3, again.trainer.model.config.mlg.baseIn)
    assert.equal("radam", again.values.optimizer)
    assert.equal(0.002, again.values.LR)
    refused(("-mlgBasisBits 8, but the network in -retrain %s has 4 (3, ratio 0.5; 4-6-4 bits, others 8, published "
      .. "rule)"):format(file), "usage", ("-dataset mnist -mlg true -mlgBasisBits 8 -retrain %s"):format(file))
    refused("-mlg false, but the weights in -retrain " .. file .. " are generated", "usage",
      "-dataset mnist -mlg false -retrain " .. file)
    refused("-resetClassifier true, but the weights in -retrain " .. file .. " are generated", "usage",
      "-dataset mnist -resetClassifier true -nClasses 4 -retrain " .. file)
    refused("-mlg true, but the weights in -retrain " .. teacher .. " are ordinary ones; -teacher " .. teacher, "usage",
      "-dataset mnist -mlg true -retrain " .. teacher)
    refused("-mlgBaseIn is of generated weights, and those in -retrain " .. teacher .. " are ordinary ones", "usage",
      "-dataset mnist -mlgBaseIn 3 -retrain " .. teacher)
  end)

  it("is exported packed and dense: the same outputs, smaller", function()
    local run = assert(smallRun.go(ofTeacher "f"))
    local packed, dense = directory .. "/packed", directory .. "/dense"
    local images = { name = "mnist", channels = 1, height = 5, width = 5, nClasses = 3 }
    local function open(options)
      local opt, given = assert(parse("-dataset mnist " .. options))
      opt.device = "cpu"
      local origin = assert(train.origin.find(opt, given))
      return opt, origin, assert(train.network.build(opt, origin, images))
    end
    local opt, origin, model = open(("-retrain %s/f/model_2.safetensors -mlgExport %s -mlgExportDense %s"):format(
      directory, packed, dense))
    local said = table.concat(assert(train.generationRun.export(opt, origin, model)), "\n")
    has(said, ("packed: %d bytes"):format(core.file_size(packed)))
    local x = dn.randn(3, 1, 5, 5)
    local wanted = run.trainer.model:evaluate():forward(x):clone()
    for _, path in ipairs { packed, dense } do
      local _, from, ordinary = open("-testOnly true -retrain " .. path)
      assert.is_nil(from.network.mlg)
      compare.near(ordinary:evaluate():forward(x), wanted, 1e-5, path)
      assert.equal(0, #ordinary:findModules "nn.MLGConvolution")
    end
    assert.is_true(core.file_size(packed) < core.file_size(dense))
    local lines, message, code = train.generationRun.export(open(("-retrain %s -mlgExport %s"):format(teacher, packed)))
    assert.is_nil(lines)
    assert.equal("usage", code)
    has(message, "has ordinary weights; expected generated ones")
  end)

  it("that is packed and damaged is refused by its path", function()
    assert(smallRun.go(line "g"))
    local state, metadata = assert(dn.safetensors.load(directory .. "/g/model_2.safetensors"))
    local config = dn.json.decode(metadata.densenet).network
    local model = dn.models.fromConfig(config)
    model:loadStateDict(state)
    local tensors, own = dn.mlg.pack(model)
    own.densenet, tensors["mlg.scale"] = metadata.densenet, dn.tensor { 1 }
    local path = directory .. "/damaged"
    assert(dn.safetensors.save(path, tensors, own))
    refused(path .. ": mlg.packed of U8 and mlg.scale of F32 with ", "format", "-dataset mnist -retrain " .. path)
  end)
end)

describe("the plan of a run with generated weights", function()
  local function planned(more)
    local opt, given = assert(parse("-dataset fashion-mnist -depth 22 -batchSize 8 -device cpu " .. more))
    local origin = assert(train.origin.find(opt, given))
    return assert(train.memory.plan(opt, origin))
  end

  it("has the weights that are made, the factors' gradients and momenta, and the teacher", function()
    local alone, taught = planned "-mlg true", planned "-mlg true -teacher x"
    local names, bytes = {}, 0
    for _, row in ipairs(taught.rows) do names[row.name] = row.bytes end
    for _, name in ipairs { "features.conv0.weight", "features.conv0.gradWeight", "features.conv0.basis",
      "features.conv0.basis momentum", "features.conv0.basis gradient", "teacher.features.conv0.weight",
      "teacher.features.norm5.running_mean", "teacher's buffers" } do
      assert.is_truthy(names[name], name)
    end
    assert.is_nil(names["features.conv0.weight momentum"])
    assert.is_nil(names["teacher.features.conv0.weight gradient"])
    for name, n in pairs(names) do
      if name:find "^teacher" then bytes = bytes + n end
    end
    assert.equal(taught.totalBytes - alone.totalBytes, bytes)
    assert.equal(alone.totalBytes, planned("-mlg true -teacher x -distill 0").totalBytes)
    assert.is_true(#taught:table() > 100)
  end)

  it("is what a step takes, and steps after the first allocate nothing", function()
    core.threads(1)
    local config = { blocks = { 2, 2 }, growthRate = 8, inputChannels = 3, nClasses = 10 }
    for optMemory = 0, 5 do
      config.optMemory, config.mlg = optMemory, {}
      local teacher = require "densenet.train.teacher"
      local besides = teacher.planRows(config, { 8, 3, 16, 16 }, "cpu")
      local plan = dn.models.withoutMemory(config):plan({ 8, 3, 16, 16 },
        { momentum = 2, optimizerScratch = 1, besides = besides })
      collectgarbage()
      collectgarbage()
      core.scratch_release()
      local before = core.memory("cpu").live
      local model = dn.models.fromConfig(config)
      local ordinary = { optMemory = 4 }
      for name, value in pairs(config) do ordinary[name] = ordinary[name] or value end
      ordinary.mlg = nil
      local asked = teacher.build(config, dn.models.fromConfig(ordinary):stateDict(), "cpu")
      local x, optimizer = dn.randn(8, 3, 16, 16), dn.optim.RAdam(model)
      local target, criterion = dn.tensor({ 1, 2, 3, 4, 5, 6, 7, 8 }, "long"), dn.nn.DistillationCriterion()
      collectgarbage()
      collectgarbage()
      core.memory_reset_peak("cpu")
      local allocations
      for step = 1, 3 do
        local pair = { target, asked:forward(x) }
        model:zeroGradParameters()
        criterion:forward(model:forward(x), pair)
        model:backward(x, criterion:backward(model.output, pair))
        dn.mlg.penalty(model, 0.05)
        optimizer:step()
        if step == 1 then allocations = core.memory("cpu").allocations end
      end
      local figures = core.memory("cpu")
      local measured = figures.peak - before
      assert.is_true(math.abs(measured / plan.totalBytes - 1) <= 0.02,
        ("optMemory %d: planned %d, measured %d bytes"):format(optMemory, plan.totalBytes, measured))
      assert.equal(0, figures.allocations - allocations)
    end
  end)
end)
