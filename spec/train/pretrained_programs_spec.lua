-- classify, extract-features and finetune as their users meet them: processes with an exit status.
local core = require "densenet.core"
local dn = require "densenet"
local golden = require "spec.support.pretrained"
local temporary = require "spec.support.temporary"

local absolute = temporary.absolute
local PHOTO, BAD = absolute(golden.photo), absolute "spec/golden/images/bad_crc.png"
local SMALL = absolute "spec/golden/images/rgb8.png"

describe("the programs for trained networks", function()
  if golden.lacksFormats() then return it("needs libjpeg and libpng", function() pending("not in this build") end) end
  local directory
  before_each(function()
    directory = temporary.directory()
    golden.save(directory)
    temporary.write(directory .. "/names.txt", "ant\nbee\ncat\ndog\nelk\nfox\n")
  end)
  after_each(function() temporary.remove(directory) end)

  -- Exit status, stdout, stderr of a script in the directory.
  local function run(script, line)
    local _, _, status = os.execute(("cd '%s' && DENSENET_BUILD='%s' OMP_WAIT_POLICY=passive timeout -s KILL 60 "
      .. "'%s' '%s' %s >stdout 2>stderr"):format(directory, absolute(os.getenv("DENSENET_BUILD") or "build"),
      temporary.interpreter(), absolute(script), line))
    return status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
  end
  local function classify(line) return run("scripts/classify.lua", "tiny.safetensors " .. line) end
  local KNOWN = " -classes names.txt -preprocess torchvision "

  local function put(name, from)
    local way = directory
    for part in name:gmatch("([^/]+)/") do
      way = way .. "/" .. part
      core.directory_make(way)
    end
    temporary.write(directory .. "/" .. name, temporary.read(from))
  end

  it("classify prints probability and class, as text", function()
    local status, stdout, stderr = classify(PHOTO .. KNOWN .. "-topK 2")
    assert.equal("", stderr)
    assert.equal(0, status)
    local model = dn.models.load(directory .. "/tiny.safetensors",
      { classes = directory .. "/names.txt", preprocess = "torchvision" })
    local expected = model:classify(golden.photo)
    local lines = {}
    for rank = 1, 2 do lines[rank] = ("%.6f\t%s\n"):format(expected[rank].probability, expected[rank].class) end
    assert.equal(table.concat(lines), stdout)
  end)

  it("classify does the other pictures, says what is wrong with one, and ends with 1", function()
    local status, stdout, stderr = classify(("%s %s %s"):format(PHOTO, BAD, PHOTO) .. KNOWN .. "-topK 1 -batchSize 2")
    assert.equal("", stderr)
    assert.equal(1, status)
    local lines = {}
    for line in stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal(5, #lines)
    assert.equal(PHOTO, lines[1])
    assert.equal(BAD .. ": damaged PNG image (IDAT: CRC error)", lines[3])
    assert.equal(lines[2], lines[5])
  end)

  it("classify writes TSV and JSON, to a file too", function()
    local status, stdout = classify(PHOTO .. " " .. BAD .. KNOWN .. "-topK 1 -format tsv")
    assert.equal(1, status)
    local rows = {}
    for line in stdout:gmatch("[^\n]+") do rows[#rows + 1] = line end
    assert.equal("file\trank\tprobability\tclass\tlabel", rows[1])
    assert.is_truthy(rows[2]:find("\t1\t0%.%d+\t%d\t%l+$"))
    assert.is_truthy(rows[3]:find("\terror\t\t\t", 1, true))
    status, stdout = classify(PHOTO .. " " .. BAD .. KNOWN .. "-format json -output out.json")
    assert.equal(1, status)
    assert.equal("", stdout)
    local result = assert(dn.json.decode(temporary.read(directory .. "/out.json")))
    assert.equal(1, result.bad)
    assert.equal(5, #result.images[1].guesses)
    assert.is_truthy(result.images[2].error:find("CRC", 1, true))
  end)

  it("classify counts errors of pictures in folders named after the classes", function()
    for _, class in ipairs { "ant", "bee" } do
      put("set/" .. class .. "/1.jpg", PHOTO)
      put("set/" .. class .. "/more/2.JPEG", PHOTO)
      put("set/" .. class .. "/.hidden.jpg", BAD)
      put("set/" .. class .. "/readme.txt", BAD)
    end
    local model = dn.models.load(directory .. "/tiny.safetensors",
      { classes = directory .. "/names.txt", preprocess = "torchvision" })
    local told = model:classify(golden.photo)[1].class
    local status, stdout = classify("set" .. KNOWN .. "-confusion confusion.tsv")
    assert.equal(0, status)
    local top1 = (told == "ant" or told == "bee") and 50 or 100
    assert.is_truthy(stdout:find(("error rates of 4 pictures: top1 %.3f %%, top5 "):format(top1), 1, true), stdout)
    local rows = {}
    for line in temporary.read(directory .. "/confusion.tsv"):gmatch("[^\n]+") do rows[#rows + 1] = line end
    assert.equal("truth\tant\tbee\tcat\tdog\telk\tfox", rows[1])
    local counts = { ant = 0, bee = 0, cat = 0, dog = 0, elk = 0, fox = 0 }
    counts[told] = 2
    for _, row in ipairs { rows[2], rows[3] } do
      assert.equal(("\t%d\t%d\t%d\t%d\t%d\t%d"):format(counts.ant, counts.bee, counts.cat, counts.dog, counts.elk,
        counts.fox), row:match("\t.*"))
    end
    put("set/cow/1.jpg", PHOTO)
    local stderr
    status, stdout, stderr = classify("set" .. KNOWN .. "-confusion confusion.tsv")
    assert.equal(2, status)
    assert.equal("", stdout)
    assert.is_truthy(stderr:find("expected pictures in folders named after the network's classes", 1, true), stderr)
  end)

  it("classify writes maps, and turns pictures upright", function()
    local sideways = absolute "spec/golden/images/exif_orientation6.jpg"
    local status = classify(PHOTO .. " " .. sideways .. KNOWN .. "-cam maps -imageSize 64 -scaleSize 64 -exif true")
    assert.equal(0, status)
    assert.same({ 3, 64, 64 }, assert(dn.image.load(directory .. "/maps/cat_359x270-cam.png")):size())
    local _, as = classify(sideways .. KNOWN .. "-exif true")
    local _, is = classify(sideways .. KNOWN)
    assert.not_equal(as, is)
  end)

  it("say what they miss, in one sentence", function()
    for line, sentence in pairs {
      [PHOTO] = "tiny.safetensors does not say what pictures go through before the network sees them (-preprocess ",
      [PHOTO .. " -preprocess timm"] = "does not say what its 6 classes are called (-classes FILE, a name a line)",
      [PHOTO .. " -mean 1,x,2"] = "-mean 1,x,2: numbers with commas between expected, got 'x'",
      [PHOTO .. " -mean 1,,2"] = "got ''",
      [PHOTO .. " -mean 1,2,3 -std 1,2,3"] = "range: 255 or 1 expected",
      ["."] = "got a directory without any",
      [""] = "a model and at least one picture expected",
      [PHOTO .. " -topk 3"] = "did you mean -topK?",
    } do
      local status, stdout, stderr = classify(line)
      assert.is_true(status == 1 or status == 2, line)
      assert.equal("", stdout)
      assert.is_truthy(stderr:find(sentence, 1, true), line .. "\n" .. stderr)
      assert.is_nil(stderr:find("traceback", 1, true), stderr)
    end
    local status, _, stderr = run("scripts/classify.lua", "none.safetensors x.png")
    assert.equal(1, status)
    assert.is_truthy(stderr:find("cannot read none.safetensors", 1, true), stderr)
  end)

  it("print their options", function()
    for _, name in ipairs { "classify", "extract-features", "finetune" } do
      local status, stdout = run("scripts/" .. name .. ".lua", "-help")
      assert.equal(0, status)
      assert.is_truthy(stdout:find("usage: lua5.4 scripts/" .. name .. ".lua MODEL", 1, true), stdout)
      status, stdout = run("scripts/densenet", name .. " --help")
      assert.equal(0, status)
      assert.is_truthy(stdout:find("usage:", 1, true))
    end
  end)

  it("extract-features writes a row for each good picture", function()
    local line = ("tiny.safetensors 2 %s %s %s %s -preprocess torchvision"):format(PHOTO, BAD, PHOTO, PHOTO)
    local status, stdout, stderr = run("scripts/extract-features.lua", line)
    assert.equal(1, status)
    assert.is_truthy(stderr:find("CRC", 1, true))
    assert.is_truthy(stdout:find("features.safetensors: features of 3 pictures, 3x16, of pool5", 1, true), stdout)
    local tensors, metadata = dn.safetensors.load(directory .. "/features.safetensors")
    golden.assertClose(golden.tensor "bilinear/pool5", tensors.features:select(1, 3), 1e-5)
    assert.equal(0, (tensors.features:select(1, 1) - tensors.features:select(1, 3)):abs():max())
    assert.same({ PHOTO, PHOTO, PHOTO }, { table.unpack(dn.json.decode(metadata.image_list)) })
    assert.equal("pool5", metadata.layer)
    status = run("scripts/extract-features.lua", ("tiny.safetensors %s -preprocess timm -layer features.denseblock1 "
      .. "-pool false -output inner.safetensors"):format(PHOTO))
    assert.equal(0, status)
    assert.same({ 1, 16, 56, 56 }, dn.safetensors.load(directory .. "/inner.safetensors").features:size())
    line = "tiny.safetensors -layer no -preprocess timm " .. PHOTO
    status, stdout, stderr = run("scripts/extract-features.lua", line)
    assert.equal("", stdout)
    assert.equal(2, status)
    assert.is_truthy(stderr:find("-layer no: expected one of features.conv0", 1, true), stderr)
  end)

  it("finetune trains on folders of pictures, and its model says everything that classify wants", function()
    for _, split in ipairs { "train", "val" } do
      for _, class in ipairs { "cat", "square" } do
        for i = 1, 2 do put(("set/%s/%s/%d.img"):format(split, class, i):gsub("img", class == "cat" and "jpg" or "png"),
          class == "cat" and PHOTO or SMALL) end
      end
    end
    local line = "tiny.safetensors set -nEpochs 1 -batchSize 2 -imageSize 64 -scaleSize 72 -nThreads 0 -nCores 1 "
      .. "-device cpu -preprocess torchvision -save run -freeze "
    local status, stdout, stderr = run("scripts/finetune.lua", line .. "block1")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("of them frozen", 1, true), stdout)
    assert.is_truthy(stdout:find("2 classes", 1, true))
    local top1 = stdout:match("Finished epoch # 1 +top1: +(%S+)")
    status, stdout, stderr = run("scripts/classify.lua", "run set/val")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("error rates of 4 pictures: top1 " .. top1 .. " %", 1, true), stdout)
    local model = assert(dn.models.load(directory .. "/run"))
    assert.same({ "cat", "square" }, model.classes)
    assert.same({ 64, 72, "bilinear", "even" }, { model.recipe.crop, model.recipe.scale, model.recipe.filter,
      model.recipe.rounding })
    assert.is_true(math.abs(model.recipe.mean[1] / model.recipe.range - 0.485) < 1e-6)
    -- What was frozen is as it was.
    local before = golden.state()["features.denseblock1.denselayer1.conv1.weight"]
    local after = model:stateDict()["features.denseblock1.denselayer1.conv1.weight"]
    assert.equal(0, (before - after):abs():max())
    for word, sentence in pairs { block3 = "-freeze block3: the network has the blocks 1 to 2",
      classifier = "no name matches" } do
      status, stdout, stderr = run("scripts/finetune.lua", line .. (word == "classifier" and "nothing" or word))
      assert.equal(2, status)
      assert.equal("", (stdout:gsub("[^\n]*scanned[^\n]*\n", "")))
      assert.is_truthy(stderr:find(sentence, 1, true), stderr)
    end
    status, stdout, stderr = run("scripts/finetune.lua", "-nEpochs 1")
    assert.equal("", stdout)
    assert.equal(2, status)
    assert.is_truthy(stderr:find("a model's file and a directory of pictures expected", 1, true), stderr)
  end)

  local function hasFashionMnist()
    return (dn.data.open("fashion-mnist", { split = "test", size = 1 })) ~= nil
  end

  it("classify shows pictures to a network as its own data set did, grey ones too", function()
    if not hasFashionMnist() then return pending("no Fashion-MNIST here") end
    local status, stdout = run("main.lua", "-dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 256 -testSize 40 "
      .. "-batchSize 16 -nEpochs 1 -nThreads 0 -device cpu -save run")
    assert.equal(0, status)
    local model = assert(dn.models.load(directory .. "/run"))
    local set = assert(dn.data.open("fashion-mnist", { split = "test", size = 40 }))
    local list, nWrong = {}, 0
    for i = 1, set:size() do
      list[i] = ("%s/%d.png"):format(directory, i)
      assert(dn.image.save(list[i], set:get(i).input))
    end
    for i, guesses in ipairs(model:classify(list)) do
      assert.equal(set.classes[guesses[1].index], guesses[1].class)
      if guesses[1].index ~= set:get(i).target then nWrong = nWrong + 1 end
    end
    assert.equal(("%.3f"):format(100 * nWrong / 40), stdout:match("Finished epoch # 1 +top1: +(%S+)"))
    -- In colours and twice as large it is scaled and made grey.
    assert(dn.image.save(directory .. "/large.png", dn.image.scale(assert(dn.image.load(list[1])), 56)))
    assert.equal(5, #model:classify(directory .. "/large.png"))
  end)

  it("main.lua trains a network for colours on grey images, and says what became of its weights", function()
    if not hasFashionMnist() then return pending("no Fashion-MNIST here") end
    local line = "-retrain tiny.safetensors -dataset fashion-mnist -resetClassifier true -nClasses 10 -trainSize 32 "
      .. "-testSize 16 -batchSize 16 -nEpochs 1 -nThreads 0 -device cpu -save run"
    local status, stdout, stderr = run("main.lua", line)
    assert.equal("", stdout)
    assert.equal(1, status)
    assert.is_truthy(stderr:find("the network takes images of 3 channels, those of fashion-mnist have 1; -retrain FILE "
      .. "-inputChannels 1 changes a network's first layer", 1, true), stderr)
    status, stdout, stderr = run("main.lua", line .. " -inputChannels 1")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("retrains:  tiny.safetensors: features.conv0.weight: its weights for 1 channel are "
      .. "summed over 3 channels", 1, true), stdout)
    status, stdout, stderr = run("main.lua", "-resume run -nEpochs 2")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("Finished epoch # 2", 1, true))
    for wrong, sentence in pairs {
      ["-inputChannels 1 -dataset fashion-mnist"] = "-inputChannels 1: the data set fashion-mnist has no such option",
      ["-retrain tiny.safetensors -growthRate 12"] =
        "-growthRate 12, but the network in -retrain tiny.safetensors has 4",
      ["-retrain tiny.safetensors -nClasses 5"] = "tells 6 classes apart; -resetClassifier true",
      ["-preprocess timm"] = "-preprocess NAME needs -retrain FILE",
      ["-retrain tiny.safetensors -dataset imagenet -data . -testOnly true"] =
        "does not say what images go through before its network sees them: -preprocess ",
    } do
      status, stdout, stderr = run("main.lua", wrong)
      assert.equal("", stdout)
      assert.equal(2, status)
      assert.is_truthy(stderr:find(sentence, 1, true), stderr)
    end
  end)
end)
