-- The loader: the same batches for any number of threads and any starting point, errors that say
-- where, buffers that are used again, and threads that end.

local core = require "densenet.core"
require "densenet.tensor"
local compare = require "spec.support.compare"
local Loader = require "densenet.data.loader"
local random = require "densenet.random"
local temporary = require "spec.support.temporary"
local transforms = require "densenet.data.transforms"

-- n byte images of channels x height x width and labels 1..5.
local function make_set(n, channels, height, width)
  local numbers = core.tensor_new("cpu", "float", { n, channels, height, width })
  core.random_uniform(numbers, 0, 256, 7, 0, 0)
  local labels = {}
  for i = 1, n do labels[i] = (i - 1) % 5 + 1 end
  return {
    images = compare.clone(numbers, "byte"),
    labels = core.tensor_from("cpu", "long", labels),
    size = function(self) return self.images:size(1) end,
  }
end

-- The same images through get(i) only.
local function by_get(set)
  return {
    size = function() return set:size() end,
    get = function(_, i) return { input = set.images:select(1, i), target = set.labels:at(i) } end,
  }
end

local function usual(size)
  return transforms.Compose {
    transforms.ColorNormalize { mean = { 120, 130 }, std = { 60.5, 70 } },
    transforms.HorizontalFlip(0.5),
    transforms.RandomCrop(size, 2),
  }
end

-- All batches of a run: {n, sizes, values, labels} each.
local function batches(options, epoch, first)
  local loader <close> = Loader(options)
  local list = {}
  for n, sample in loader:run(epoch, first) do
    assert.equal(sample.size, sample.input:size(1))
    list[#list + 1] = { n, sample.input:size(), sample.input:totable(), sample.target:totable() }
  end
  return list
end

local function with(options, changes)
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  for key, value in pairs(changes) do all[key] = value end
  return all
end

local function fails(pattern, ...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  assert.matches(pattern, message)
  return message
end

-- A directory on package.path with the modules, while use() runs.
local function with_modules(modules, use)
  local directory, path = temporary.directory(), package.path
  for name, text in pairs(modules) do temporary.write(("%s/%s.lua"):format(directory, name), text) end
  package.path = directory .. "/?.lua;" .. path
  local ok, message = pcall(use)
  package.path = path
  for name in pairs(modules) do package.loaded[name] = nil end
  temporary.remove(directory)
  if not ok then error(message, 0) end
end

describe("a loader without transform", function()
  it("gives all images in order, the last batch with what is left", function()
    local set = make_set(7, 2, 3, 4)
    local list = batches({ set = set, batchSize = 3 })
    assert.equal(3, #list)
    local all = set.images:totable()
    for n, batch in ipairs(list) do
      local first = 3 * (n - 1) + 1
      assert.equal(n, batch[1])
      assert.same({ n < 3 and 3 or 1, 2, 3, 4 }, batch[2])
      assert.same({ table.unpack(all, first, math.min(first + 2, 7)) }, batch[3])
    end
    assert.same({ 1, 2, 3 }, list[1][4])
    assert.same({ 2 }, list[3][4])
  end)

  it("counts its batches", function()
    local set = make_set(7, 1, 1, 1)
    for batch_size, size in pairs { [1] = 7, [2] = 4, [7] = 1, [8] = 1 } do
      assert.equal(size, Loader({ set = set, batchSize = batch_size }):size())
    end
  end)

  it("shuffles anew every epoch, as the seed says, and forgets no image", function()
    local set = make_set(30, 1, 1, 1)
    set.labels = core.tensor_new("cpu", "long", { 30 })
    for i = 1, 30 do set.labels:put(i, i) end
    local options = { set = set, batchSize = 30, shuffle = true, seed = 3 }
    local first, second = batches(options, 1)[1][4], batches(options, 2)[1][4]
    local order = core.tensor_new("cpu", "long", { 30 })
    core.random_permutation(order, random.generator(3, 1):reserve(30))
    assert.same(order:totable(), first)
    assert.not_same(first, second)
    assert.not_same(first, batches(with(options, { seed = 4 }), 1)[1][4])
    table.sort(first)
    table.sort(second)
    assert.same(first, second)
    assert.same({ 1, 2, 3 }, { table.unpack(first, 1, 3) })
  end)
end)

describe("a loader's batches", function()
  local cases = {
    { "the usual chain, at once", function() return usual(6) end },
    { "one normalisation", function() return transforms.ColorNormalize { mean = { 1, 2 }, std = { 3, 4 } } end },
    { "another chain, image by image", function()
      return transforms.Compose { transforms.RandomSizedCrop(5), transforms.Rotation(30), transforms.Contrast(0.5) }
    end },
    { "ten crops", function() return transforms.TenCrop(4) end },
  }
  for _, case in ipairs(cases) do
    for _, precision in ipairs { "float", "double" } do
      it(("are the same bytes for 0, 1, 2 and 5 threads: %s, %s"):format(case[1], precision), function()
        local options = {
          set = make_set(23, 2, 6, 7), batchSize = 4, shuffle = true, seed = 11, precision = precision,
          transform = case[2](),
        }
        local right = batches(options, 3)
        assert.equal(6, #right)
        for _, threads in ipairs { 1, 2, 5 } do
          assert.same(right, batches(with(options, { nThreads = threads }), 3))
        end
        assert.same(right, batches(with(options, { nThreads = 2, prefetch = 1 }), 3))
      end)
    end
  end

  for _, precision in ipairs { "float", "double" } do
    it("are those of the transform and the generator of each image, in " .. precision, function()
      local set, chain = make_set(9, 2, 6, 7), usual(5)
      local list = batches({ set = set, batchSize = 9, transform = chain, seed = 5, precision = precision }, 4)
      for i = 1, 9 do
        local image = compare.clone(set.images:select(1, i), precision)
        local right = chain(image, random.generator(5, 4 * 2 ^ 32 // 1 | i))
        assert.same(right:totable(), list[1][3][i])
      end
    end)
  end

  it("are the same in one pass, through get(i), and from float images", function()
    local set = make_set(11, 2, 6, 7)
    local options = { set = set, batchSize = 4, transform = usual(6), shuffle = true }
    local right = batches(options, 2)
    assert.same(right, batches(with(options, { set = by_get(set) }), 2))
    local floats = make_set(11, 2, 6, 7)
    floats.images = compare.clone(set.images, "float")
    assert.same(right, batches(with(options, { set = floats }), 2))
    assert.same(right, batches(with(options, { set = floats, nThreads = 2 }), 2))
  end)

  it("are the same from a part of a set as from a set of its own", function()
    local set = make_set(12, 2, 6, 7)
    local part = make_set(5, 2, 6, 7)
    core.copy(part.images, set.images:narrow(1, 4, 5))
    core.copy(part.labels, set.labels:narrow(1, 4, 5))
    local view = { images = set.images:narrow(1, 4, 5), labels = set.labels:narrow(1, 4, 5), size = set.size }
    local options = { set = part, batchSize = 2, transform = usual(6), nThreads = 1 }
    assert.same(batches(options), batches(with(options, { set = view })))
  end)

  it("start anywhere in an epoch", function()
    local options = { set = make_set(23, 2, 6, 7), batchSize = 4, shuffle = true, transform = usual(6) }
    local all = batches(options, 5)
    for first = 1, 7 do
      for _, threads in ipairs { 0, 2 } do
        assert.same({ table.unpack(all, first) }, batches(with(options, { nThreads = threads }), 5, first))
      end
    end
  end)

  it("come from a loader that is used again and again", function()
    local options = { set = make_set(10, 2, 6, 7), batchSize = 3, shuffle = true, transform = usual(6), nThreads = 2 }
    local loader <close> = Loader(options)
    for epoch = 1, 4 do
      local right = batches(with(options, { nThreads = 0 }), epoch)
      for n, sample in loader:run(epoch) do
        assert.same(right[n][3], sample.input:totable())
        assert.same(right[n][4], sample.target:totable())
      end
    end
  end)

  for _, threads in ipairs { 0, 2 } do
    it(("stay until the next is asked for and reuse their memory, %d threads"):format(threads), function()
      local loader <close> = Loader {
        set = make_set(41, 2, 6, 7), batchSize = 4, shuffle = true, transform = usual(6), nThreads = threads,
      }
      for _, sample in loader:run(1) do
        local seen = sample.input:totable()
        for _ = 1, 1000 do random.default:uniform() end -- time for a worker to do harm
        assert.same(seen, sample.input:totable())
      end
      local before
      for epoch = 1, 4 do
        -- Workers may come to the ragged batch with a new buffer in the first epochs.
        if epoch == 4 then before = core.memory("cpu").allocations end
        local n = 0
        for _, sample in loader:run(epoch) do n = n + sample.size end
        assert.equal(41, n)
      end
      assert.equal(before, core.memory("cpu").allocations)
    end)
  end
end)

describe("a run that is left", function()
  it("leaves a loader that starts again, and threads that end", function()
    local options = { set = make_set(40, 2, 6, 7), batchSize = 2, transform = usual(6), shuffle = true }
    local right = batches(options, 2)
    local loader = Loader(with(options, { nThreads = 3 }))
    for _ = 1, 3 do
      for n in loader:run(1) do
        if n == 2 then break end
      end
    end
    local list = {}
    for _, sample in loader:run(2) do list[#list + 1] = sample.input:totable() end
    for n, batch in ipairs(right) do assert.same(batch[3], list[n]) end
    loader:run(3)()
    loader:close()
    loader:close()
    fails("Loader: it is closed", loader.run, loader, 1)
  end)

  it("is ended by a later one", function()
    local loader <close> = Loader { set = make_set(8, 2, 6, 7), batchSize = 2, nThreads = 1 }
    local old = loader:run(1)
    old()
    local new = loader:run(1)
    fails("this run was ended by a later one", old)
    assert.equal(1, (new()))
  end)

  it("frees everything, also when nobody closes it", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory("cpu").blocks
    do
      local loader = Loader { set = make_set(8, 2, 6, 7), batchSize = 2, nThreads = 2, transform = usual(6) }
      loader:run(1)()
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory("cpu").blocks)
  end)
end)

describe("data sets and transforms of one's own", function()
  local modules = {
    set_for_loader_spec = [[
      local core = require "densenet.core"
      return function(n)
        return {
          size = function() return n end,
          get = function(self, i)
            if i == 6 then error("image 6 is damaged") end
            return { input = core.tensor_from("cpu", "byte", { { { i, 2 * i } } }), target = i }
          end,
        }
      end]],
    double_for_loader_spec = [[
      local core = require "densenet.core"
      return function(limit)
        return function(image, rng)
          if image:at(1, 1, 1) > limit then error("too bright") end
          local out = core.tensor_new("cpu", image:dtype(), image:size())
          core.binary_scalar(out, image, 2, "mul")
          return out
        end
      end]],
  }

  it("work in threads when they are modules", function()
    with_modules(modules, function()
      local set = require "set_for_loader_spec" (5)
      local options = {
        set = set, batchSize = 2, transform = transforms.FromModule("double_for_loader_spec", 100),
      }
      local right = batches(options)
      assert.same({ { { { 2, 4 } } }, { { { 4, 8 } } } }, right[1][3])
      assert.same({ 5 }, right[3][4])
      local worker = { module = "set_for_loader_spec", argument = 5 }
      assert.same(right, batches(with(options, { nThreads = 2, worker = worker })))
    end)
  end)

  it("report an error at once, with batch, sample and traceback", function()
    with_modules(modules, function()
      local set = require "set_for_loader_spec" (2000)
      local worker = { module = "set_for_loader_spec", argument = 2000 }
      for _, threads in ipairs { 0, 2 } do
        local loader <close> = Loader { set = set, batchSize = 2, nThreads = threads, worker = worker }
        local seen = 0
        local message = fails("^batch 3 of epoch 1: sample 6: .*set_for_loader_spec.lua:%d+: image 6 is damaged\n",
          function() for _ in loader:run(1) do seen = seen + 1 end end)
        assert.matches("stack traceback:.*set_for_loader_spec.lua:%d+: in .*get", message)
        assert.is_true(seen <= 2)
        assert.equal(1, select(2, message:gsub("stack traceback", "")))
        -- the loader goes on where the data is sound
        assert.equal(4, (loader:run(1, 4)()))
      end
      local byte_set = make_set(9, 1, 1, 2)
      core.fill(byte_set.images, 1)
      byte_set.images:put(200, 8, 1, 1, 1)
      for _, threads in ipairs { 0, 2 } do
        local loader <close> = Loader {
          set = byte_set, batchSize = 3, nThreads = threads,
          transform = transforms.FromModule("double_for_loader_spec", 100),
        }
        fails("batch 3 of epoch 1: sample 8: .*too bright\nstack traceback", function()
          for _ in loader:run(1) do end -- luacheck: ignore
        end)
      end
    end)
  end)

  it("report images of different sizes and samples that are none", function()
    local function run(set, transform)
      local loader <close> = Loader { set = set, batchSize = 4, transform = transform }
      loader:run(1)()
    end
    local set = by_get(make_set(4, 1, 3, 3))
    local get = set.get
    set.get = function(self, i)
      local sample = get(self, i)
      if i == 3 then sample.input = sample.input:narrow(2, 1, 2) end
      return sample
    end
    fails("sample 3: the image has size 1x2x3, others of the batch have 1x3x3", run, set)
    set.get = function() return { input = 3, target = 1 } end
    fails("sample 1: the data set gave no sample", run, set)
    set.get = function(self, i) return { input = get(self, i).input, target = "cat" } end
    fails("sample 1: the data set gave cat as target", run, set)
    set.get = get
    fails("sample 1: the transform gave a number, not an image", run, set, function() return 1 end)
    fails("batch 1 of epoch 1: .*a crop of 9x9 pixels does not fit an image of 3x3 padded by 0", run,
      make_set(4, 1, 3, 3), transforms.Compose {
        transforms.ColorNormalize { mean = { 0 }, std = { 1 } }, transforms.RandomCrop(9) })
    fails("image_augment_batch.*has 2 numbers, the image has 1 channels", run, make_set(4, 1, 6, 6), usual(6))
  end)

  it("report a worker that cannot start", function()
    local set = by_get(make_set(4, 1, 3, 3))
    local loader = Loader { set = set, batchSize = 2, nThreads = 2, worker = { module = "no.such.module" } }
    fails("a worker could not start: .*module 'no.such.module' not found.*stack traceback", function()
      loader:run(1)()
    end)
  end)
end)

describe("Loader", function()
  it("refuses wrong options at its caller", function()
    local set = make_set(4, 1, 3, 3)
    local function refused(pattern, changes)
      fails("Loader: " .. pattern, Loader, with({ set = set, batchSize = 2 }, changes))
    end
    refused("knows no option bachSize", { bachSize = 3 })
    refused("batchSize must be a whole number from 1 on, not 0", { batchSize = 0 })
    refused("batchSize must be a whole number from 1 on, not 2.5", { batchSize = 2.5 })
    refused("nThreads must be a whole number from 0 on, not %-1", { nThreads = -1 })
    refused("prefetch must be a whole number from 1 on, not 0", { prefetch = 0 })
    refused("precision must be float or double, not half", { precision = "half" })
    refused("seed must be a whole number", { seed = "x" })
    refused("shuffle must be true or false", { shuffle = "no" })
    refused("set must be a data set", { set = 3 })
    refused("the data set has neither images and labels nor get", { set = { size = set.size } })
    refused("set.images must be N,C,H,W, not 12x3", { set = { size = set.size, images = set.images:view(12, 3) } })
    refused("set.labels must be a long vector with a label for each of the 4 images",
      { set = { size = set.size, images = set.images, labels = set.labels:narrow(1, 1, 3) } })
    refused("threads cannot share a data set that has only get", { set = by_get(set), nThreads = 1 })
    refused("a function cannot be described", { nThreads = 1, transform = function() end })
    fails("Loader: batchSize must be", Loader, { set = set })
    local loader = Loader { set = set, batchSize = 2 }
    fails("epoch must be a whole number from 0 on, not %-1", loader.run, loader, -1)
    fails("the first batch must be a whole number from 1 on, not 0", loader.run, loader, 1, 0)
  end)

  it("survives the refusal of any one allocation", function()
    local options = { set = make_set(9, 2, 6, 7), batchSize = 4, shuffle = true, transform = usual(6) }
    local right = batches(options, 1)
    for nth = 1, 25 do
      core.testing.alloc_refuse(nth)
      local found = batches(with(options, { nThreads = 2 }), 1)
      core.testing.alloc_refuse(0)
      assert.same(right, found)
    end
  end)

  it("says that memory ran out, and goes on when there is some", function()
    for _, threads in ipairs { 0, 2 } do
      local loader <close> = Loader { set = make_set(9, 2, 6, 7), batchSize = 4, nThreads = threads }
      loader:run(1)()
      collectgarbage()
      core.memory_limit("cpu", 1)
      loader.spare = {}
      fails("out of memory", function()
        for _ in loader:run(2) do loader.spare = {} end
      end)
      core.memory_limit("cpu", 0)
      assert.equal(1, (loader:run(3)()))
    end
  end)
end)
