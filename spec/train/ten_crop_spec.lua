-- -tenCrop: scores of an image are those of its ten crops added up, and batches hold a tenth of the images.
local dn = require "densenet"
local sources = require "densenet.train.sources"
local options = require "densenet.train.options"

local train = dn.train

local function parse(line)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  return assert(options.parse(argv))
end

describe("a test on ten crops", function()
  it("adds the scores of the crops of each image", function()
    local values = parse("-dataset imagenet -data spec/golden/folder -imageSize 24 -nThreads 0 -batchSize 25")
    values.testOnly, values.tenCrop, values.device = true, true, "cpu"
    local about = { mean = { 120, 110, 100 }, std = { 60, 50, 40 }, classes = { "Zebra", "apple", "n01440764" } }
    local sets, loaders = sources.open(values, about)
    assert.equal(2, loaders.test.batchSize)
    dn.manualSeed(3)
    local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, nClasses = 3 }
    local trainer = train.Trainer.new { model = model, criterion = dn.nn.CrossEntropyCriterion(),
      console = train.Console.new(1, loaders, function() end) }
    local seen = {}
    local result = trainer:test("Test", 1, loaders.test, function(output, target)
      for i, row in ipairs(output:totable()) do seen[#seen + 1] = { row, target:at(i) } end
    end)
    assert.equal(3, result.count)
    local crops = dn.data.preprocess(sets.test, "test", { tenCrop = true })
    local wrong = 0
    for i = 1, 3 do
      local sample = sets.test:get(i)
      local sum = model:forward(crops(sample.input)):sum(1):view(3):totable()
      local best = 1
      for c = 1, 3 do
        assert.is_true(math.abs(sum[c] / 10 - seen[i][1][c]) < 1e-5)
        if sum[c] > sum[best] then best = c end
      end
      assert.equal(sample.target, seen[i][2])
      if best ~= sample.target then wrong = wrong + 1 end
    end
    assert.is_true(math.abs(result.top1 - 100 * wrong / 3) < 1e-9)
  end)

  it("is refused for images that are used whole", function()
    local values, message = options.parse { "-dataset", "mnist", "-tenCrop", "true" }
    assert.is_nil(values)
    assert.matches("%-tenCrop true: images of mnist are used whole", message)
  end)
end)
