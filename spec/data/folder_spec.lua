-- Folders of images as data sets: what is listed and what is passed over (spec/golden/folder), the index that is
-- kept, one index for all threads, images that cannot be read, mean and deviation.
local core = require "densenet.core"
local dn = require "densenet"
local failure = require "densenet.data.failure"
local folderIndex = require "densenet.data.folder_index"
local json = require "densenet.io.json"
local tablex = require "pl.tablex"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden/folder"

-- A folder's files, "class/name", in order.
local function filesOf(set)
  local list = {}
  for i = 1, set:size() do list[i] = set:path(i):sub(#set.root + 2) end
  return list
end

-- An image of one colour, height x width.
local function save(path, height, width, red, green, blue)
  local directory = path:match("^(.*)/")
  core.directory_make(directory)
  local image = dn.tensor({ { { red } }, { { green or red } }, { { blue or red } } }, "byte")
  assert(dn.image.save(path, image:expand({ 3, height, width }):contiguous()))
end

describe("the golden folder", function()
  local expected = json.decode(temporary.read(GOLDEN .. "/expected.json"))

  for _, split in ipairs { "train", "val" } do
    it("is listed as expected: " .. split, function()
      local set = assert(dn.data.open("imagenet", { directory = GOLDEN, split = split, mean = { 0, 0, 0 },
        std = { 1, 1, 1 } }))
      assert.same({ table.unpack(expected.classes) }, set.classes)
      local files, labels = {}, {}
      for label, class in ipairs(expected.classes) do
        for _, name in ipairs(expected[split][class]) do
          files[#files + 1], labels[#labels + 1] = class .. "/" .. name, label
        end
      end
      assert.same(files, filesOf(set))
      assert.same(labels, set:labelVector():totable())
      for i, label in ipairs(labels) do
        assert.equal(label, set:label(i))
        local sample = assert(set:get(i))
        assert.equal(label, sample.target)
        assert.same(dn.image.load(set:path(i)):totable(), sample.input:totable())
      end
      assert.error_matches(function() set:get(#files + 1) end, "imagenet: expected an image from 1 to %d+, got %d+")
    end)
  end

  for name, part in tablex.sort {
    flat = "flat: there is no train; expected " .. GOLDEN .. "/flat/train/<class>/<image> and ",
    bad = "bad/train/b: class b has no images",
    nowhere = "nowhere: there is no train",
  } do
    it("is refused: " .. name, function()
      local set, message, code = dn.data.open("imagenet", { directory = GOLDEN .. "/" .. name })
      assert.is_nil(set)
      assert.is_truthy(code == "io" or code == "format")
      assert.is_truthy(message:find(part, 1, true), message)
    end)
  end

  it("is refused where val has a class that train lacks, and warned of the other way round", function()
    local root = GOLDEN .. "/classes_differ"
    local set, message, code = dn.data.open("imagenet", { directory = root, split = "val" })
    assert.same({ nil, "format" }, { set, code })
    assert.matches("val: has class c, which is none of the classes trained on", message)
    local classes = { "Zebra", "apple", "n01440764", "pear" }
    set = assert(dn.data.folder(GOLDEN .. "/val", { classes = classes, split = "val" }))
    assert.equal(4, set.nClasses)
    assert.matches("val lacks class pear", table.concat(set.notes, "\n"))
  end)

  for part, options in tablex.sort {
    ["imageSize: expected 1 to 4096 pixels, got 0"] = { imageSize = 0 },
    ["scaleSize: expected at least imageSize, 224, got 100"] = { scaleSize = 100 },
    ["filter: expected bicubic, bilinear or torch, got lanczos"] = { filter = "lanczos" },
    ["minArea: expected a number above 0 and up to 1, got 0"] = { minArea = 0 },
    ["mirror: expected true or false, got no"] = { mirror = "no" },
    ["channels: expected 3, or 1 for grey, got 2"] = { channels = 2 },
    ["badImages: expected error or skip, got no"] = { badImages = "no" },
    ["split: expected train or test, got validation"] = { split = "validation" },
    ["unknown option size2"] = { size2 = 1 },
  } do
    it("is not opened with wrong options: " .. part, function()
      local set, message, code = dn.data.open("imagenet", tablex.merge({ directory = GOLDEN }, options, true))
      assert.same({ nil, "argument" }, { set, code })
      assert.is_truthy(message:find(part, 1, true), message)
      if not options.split and not options.size2 then
        assert.error_matches(function() dn.data.folder(GOLDEN .. "/train", options) end, part:gsub("%p", "%%%0"))
      end
    end)
  end

  it("has classes and sizes before it is opened", function()
    local about = assert(dn.data.about("imagenet", { directory = GOLDEN, imageSize = 64 }))
    assert.same({ 3, 3, 64, 64, true, { train = true, val = true, test = false } }, { about.nClasses, about.channels,
      about.height, about.width, about.hasOwnClasses, about.splits })
    assert.equal(1000, dn.data.about("imagenet").nClasses)
    assert.matches("no directory given", (select(2, dn.data.open("imagenet"))))
  end)
end)

describe("a folder of images", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  it("follows links to folders once, and lists what lies deeper by its path", function()
    save(directory .. "/train/a/2.png", 4, 4, 10)
    save(directory .. "/train/a/inner/1.png", 4, 4, 20)
    save(directory .. "/train/a/inner-1.png", 4, 4, 20)
    save(directory .. "/elsewhere/9.PNM.png", 4, 4, 30)
    os.execute(("cd '%s/train' && ln -s ../../train/a a/inner/again && ln -s inner a/other && ln -s ../elsewhere b "
      .. "&& ln -s nowhere a/broken && ln -s ../2.png a/inner/linked.png && touch file.png"):format(directory))
    local set = assert(dn.data.folder(directory .. "/train"))
    assert.same({ "a", "b" }, set.classes)
    assert.same({ "a/2.png", "a/inner-1.png", "a/inner/1.png", "a/inner/linked.png", "b/9.PNM.png" }, filesOf(set))
  end)

  it("says which folder cannot be listed", function()
    if core.environment "USER" == "root" or io.popen("id -u"):read("l") == "0" then
      return pending("root lists everything")
    end
    save(directory .. "/a/1.png", 4, 4, 10)
    os.execute(("chmod 0 '%s/a'"):format(directory))
    local set, message, code = dn.data.folder(directory)
    os.execute(("chmod 700 '%s/a'"):format(directory))
    assert.same({ nil, "io" }, { set, code })
    assert.matches("cannot list .*/a", message)
  end)

  it("has mean and deviation in which every image counts alike", function()
    save(directory .. "/a/1.png", 40, 30, 10, 20, 30)
    save(directory .. "/b/1.png", 2, 3, 50, 20, 31)
    local lines = {}
    local set = assert(dn.data.folder(directory, { report = function(line) lines[#lines + 1] = line end }))
    assert.same({ 30, 20, 30.5 }, set.mean)
    assert.same({ 20, 1, 0.5 }, set.std)
    assert.matches("^mean and deviation from all 2 images, in ", lines[1])
    assert.same({ 7 }, dn.data.folder(directory, { channels = 1, mean = { 7 }, std = { 2 } }).mean)
    assert.same({ 1, 40, 30 }, dn.data.folder(directory, { channels = 1 }):get(1).input:size())
  end)

  it("has mean and deviation of 2000 of its images where it has more, and says so", function()
    core.directory_make(directory .. "/a")
    for i = 1, 2500 do
      temporary.write(("%s/a/%04d.pgm"):format(directory, i), "P5 1 1 255\n" .. string.char(i % 2 == 0 and 10 or 20))
    end
    local lines = {}
    local set = assert(dn.data.folder(directory, { channels = 1,
      report = function(line) lines[#lines + 1] = line end }))
    assert.matches("^mean and deviation from 2000 of 2500 images, in ", lines[1])
    assert.is_true(math.abs(set.mean[1] - 15) < 1)
    assert.is_true(math.abs(set.std[1] - 5) < 0.1)
  end)

  it("is cut and mirrored in training as it is told", function()
    save(directory .. "/a/1.png", 4, 4, 10)
    local set = assert(dn.data.folder(directory, { imageSize = 8, minArea = 0.5, mirror = false }))
    local steps = dn.data.preprocess(set, "train").steps
    assert.equal(0.5, steps[1].smallestArea)
    assert.equal("ColorNormalize({...})", tostring(steps[#steps]))
    set = assert(dn.data.folder(directory, { imageSize = 8 }))
    steps = dn.data.preprocess(set, "train").steps
    assert.equal(0.08, steps[1].smallestArea)
    assert.equal("HorizontalFlip(0.5)", tostring(steps[#steps]))
  end)

  it("is one of classes, and not the one that holds train and val", function()
    local set, message, code = dn.data.folder(GOLDEN)
    assert.same({ nil, "format" }, { set, code })
    assert.equal(GOLDEN .. ": holds train and val, not classes; name one of them: " .. GOLDEN .. "/train", message)
  end)

  it("has ImageNet's mean and deviation where its classes are ImageNet's", function()
    for i = 1, 1000 do
      local class = ("%s/n%08d"):format(directory, i)
      core.directory_make(class)
      temporary.write(class .. "/1.jpg", "")
    end
    local set = assert(dn.data.folder(directory))
    assert.same({ 0.485 * 255, 0.456 * 255, 0.406 * 255 }, set.mean)
    assert.matches("whose 1000 classes these are", table.concat(set.notes, "\n"))
  end)

  it("has parts that are mixed, disjoint and always the same", function()
    for i = 1, 12 do save(("%s/%s/%02d.png"):format(directory, i <= 6 and "a" or "b", i), 2, 2, i) end
    local set = assert(dn.data.folder(directory, { mean = { 0, 0, 0 }, std = { 1, 1, 1 } }))
    local first, rest = set:subset(0, 8), set:subset(8, 4)
    assert.same({ 8, 4 }, { first:size(), rest:size() })
    local seen, labels = {}, {}
    for _, part in ipairs { first, rest } do
      local expected = part:labelVector():totable()
      for i, file in ipairs(filesOf(part)) do
        assert.is_nil(seen[file])
        seen[file] = true
        assert.equal(file:sub(1, 1) == "a" and 1 or 2, part:label(i))
        assert.equal(expected[i], part:label(i))
        labels[part:label(i)] = (labels[part:label(i)] or 0) + 1
      end
    end
    assert.same({ 6, 6 }, labels)
    assert.same(filesOf(first), filesOf(set:subset(0, 8)))
    local inner = first:subset(2, 3)
    assert.equal(3, inner:size())
    for _, file in ipairs(filesOf(inner)) do assert.is_truthy(tablex.find(filesOf(first), file)) end
    assert.matches("4 images of its 12 in 2 classes", rest:describe())
  end)

  -- ---- The index that is kept ----

  local function open() return assert(folderIndex.open(directory .. "/set", directory .. "/gen", "set")) end

  local function wait() os.execute "sleep 0.1" end

  local function fill()
    for i = 1, 3 do save(("%s/set/a/%d.png"):format(directory, i), 2, 2, i) end
    save(directory .. "/set/b/inner/1.png", 2, 2, 9)
    wait()
  end

  it("is listed once with an index, and anew when a folder changes", function()
    fill()
    assert.matches("^4 images in 2 classes, scanned in ", open().notes[1])
    local kept = open()
    assert.matches("^4 images in 2 classes, as .*/gen/set%-index%.safetensors has them$", kept.notes[1])
    assert.same({ "a", "b" }, kept.classes)
    assert.equal("b/inner/1.png", (core.text_at(kept.names, kept.offsets:at(4))))
    for _, change in ipairs {
      function() save(directory .. "/set/b/inner/2.png", 2, 2, 9) end,
      function() core.file_remove(directory .. "/set/a/3.png") end,
      function() core.file_rename(directory .. "/set/a/2.png", directory .. "/set/a/z.png") end,
      function() save(directory .. "/set/c/1.png", 2, 2, 9) end,
      function() -- its time is set back to what it was
        os.execute(("cd '%s/set' && touch -r a stamp && rm a/z.png && touch -r stamp a && rm stamp"):format(directory))
      end,
    } do
      change()
      wait()
      assert.matches("scanned in", open().notes[1])
      assert.matches("has them", open().notes[1])
    end
    assert.equal(4, open().offsets:nElement())
  end)

  it("is not believed where a folder changed just before it was listed", function()
    fill()
    save(directory .. "/set/a/4.png", 2, 2, 1)
    assert.matches("scanned in", open().notes[1])
    wait()
    assert.matches("scanned in", open().notes[1])
    assert.matches("has them", open().notes[1])
  end)

  it("is made anew where it is damaged, with a line, and of another folder without", function()
    fill()
    open()
    local path = directory .. "/gen/set-index.safetensors"
    local whole = temporary.read(path)
    local damaged = { whole:sub(1, 200), whole:sub(1, -9), "", "x", (whole:gsub("began", "xegan")) }
    local tensors, metadata = dn.safetensors.load(path)
    local function changed(name, value)
      local copy = tablex.copy(tensors)
      copy[name] = value
      assert(dn.safetensors.save(path, copy, metadata))
      damaged[#damaged + 1] = temporary.read(path)
    end
    changed("offsets", dn.tensor({ 0, 1, 2, 1 << 40 }, "long"))
    changed("offsets", dn.tensor({ 0, 1, 2, -1 }, "long"))
    changed("bounds", dn.tensor({ 0, 5, 4 }, "long"))
    changed("bounds", dn.tensor({ 0, 4 }, "long"))
    changed("names", dn.tensor({ 65, 66 }, "byte"))
    changed("classes", dn.tensor({ 65, 66 }, "byte"))
    changed("times", nil)
    for i, content in ipairs(damaged) do
      temporary.write(path, content)
      local index = open()
      assert.equal(2, #index.notes, i)
      assert.matches("set%-index%.safetensors.*; the folders are listed anew$", index.notes[1])
      assert.matches("^4 images", index.notes[2])
      assert.matches("has them", open().notes[1])
    end
    core.file_rename(directory .. "/set", directory .. "/moved")
    save(directory .. "/set/a/1.png", 2, 2, 1)
    local index = open()
    assert.same({ 1, 1 }, { #index.notes, index.offsets:nElement() })
  end)

  it("keeps no index in a place that cannot be written", function()
    fill()
    temporary.write(directory .. "/gen", "")
    local index, message, code = folderIndex.open(directory .. "/set", directory .. "/gen", "set")
    assert.same({ nil, "io" }, { index, code })
    assert.matches("gen", message)
  end)

  -- ---- In a loader ----

  local function batches(set, nThreads, transform, firstBatch)
    local loader <close> = dn.data.Loader { set = set, batchSize = 3, nThreads = nThreads, seed = 3, shuffle = true,
      transform = transform }
    local list = {}
    for n, sample in loader:run(2, firstBatch) do
      list[n] = { sample.input:clone():totable(), sample.target:totable() }
    end
    return list, loader:badImages()
  end

  local function colours(n)
    for i = 1, n do
      save(("%s/%s/%02d.png"):format(directory, i % 2 == 0 and "a" or "b", i), 9 + i, 12, 10 * i, i, 90)
    end
    return assert(dn.data.folder(directory, { imageSize = 8, badImages = "skip" }))
  end

  it("gives the same batches for any number of threads, and from the middle", function()
    local set = colours(8)
    local transform = dn.data.preprocess(set, "train", { randomErasing = 0.5 })
    local here = batches(set, 0, transform)
    assert.equal(3, #here)
    assert.same(here, (batches(set, 2, transform)))
    assert.same(here[3], (batches(set, 2, transform, 3))[3])
    local part = set:subset(2, 5)
    assert.same((batches(part, 0, transform)), (batches(part, 2, transform)))
  end)

  it("stops at an image that cannot be read, in any thread, and names it", function()
    local set = colours(8)
    set.badImages = "error"
    temporary.write(directory .. "/a/02.png", "<html>")
    for _, threads in ipairs { 0, 2 } do
      local done, err = pcall(batches, set:shared(), threads, dn.data.preprocess(set, "train"))
      assert.is_false(done)
      assert.is_true(failure.is(err))
      assert.equal("format", err.code)
      assert.equal(directory .. "/a/02.png: is an HTML page (of a download that failed?); JPEG, PNG, BMP and PPM are "
        .. "read", tostring(err))
    end
  end)

  it("takes another image of the class instead, and leaves the others where they are", function()
    local set = colours(8)
    local transform = dn.data.preprocess(set, "test")
    local before = batches(set, 0, transform)
    temporary.write(directory .. "/a/02.png", "<html>")
    temporary.write(directory .. "/a/08.png", "")
    local kept
    for _, threads in ipairs { 0, 2 } do
      local after, bad = batches(set, threads, transform)
      table.sort(bad, core.before)
      assert.same({
        directory .. "/a/02.png: is an HTML page (of a download that failed?); JPEG, PNG, BMP and PPM are read",
        directory .. "/a/08.png: is empty" },
        { bad[1], bad[2] })
      kept = kept or after
      assert.same(kept, after)
      local nOther = 0
      for n, batch in ipairs(after) do
        assert.same(before[n][2], batch[2])
        for k, image in ipairs(batch[1]) do
          if not pcall(assert.same, before[n][1][k], image) then nOther = nOther + 1 end
        end
      end
      assert.equal(2, nOther)
    end
  end)

  it("gives up where a class has no good image, or too many are bad", function()
    local set = colours(4)
    temporary.write(directory .. "/a/02.png", "")
    temporary.write(directory .. "/a/04.png", "")
    local done, err = pcall(batches, set, 0)
    assert.is_false(done)
    assert.matches("no image of its class can be read", tostring(err))
    for i = 1, 12 do temporary.write(("%s/b/x%02d.png"):format(directory, i), "") end
    save(directory .. "/a/02.png", 9, 9, 1)
    set = assert(dn.data.folder(directory, { badImages = "skip", mean = { 0, 0, 0 }, std = { 1, 1, 1 },
      imageSize = 8 }))
    done, err = pcall(batches, set, 2, dn.data.preprocess(set, "test"))
    assert.is_false(done)
    assert.matches("1[12] images cannot be read, more than the 10 of 16 that may be skipped; the last is ",
      tostring(err))
  end)
end)
