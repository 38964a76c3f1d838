-- paths, image, threads, sys, ffi, lfs of densenet.torch7, and require "../file".

local script = require "spec.support.torch7_script"

describe("torch7: paths", function()
  it("tells names and what is there", function()
    script.passes([[
      same(paths.cwd() .. "/a/b.txt", paths.concat("a", "b.txt"))
      same("/x/c", paths.concat("a", "/x/y", "../c"))
      assert(paths.dirp("a") and not paths.dirp("a/b.txt") and paths.filep("a/b.txt") and not paths.filep("a"))
      assert(not paths.filep("nothing") and not paths.dirp("nothing"))
      assert(paths.mkdir("new") and paths.mkdir("new") and paths.dirp("new"))
      assert(paths.mkdir("one/in/another") and paths.dirp("one/in/another"))
      local made, why = paths.mkdir("a/b.txt/c")
      assert(not made and why)
      same({ ".", "..", "b.txt", "c.lua", "d" }, paths.dir("a"))
      same(nil, paths.dir("nothing"))
      local found = {}
      for name in paths.iterfiles("a") do found[#found + 1] = name end
      same({ "b.txt", "c.lua", "d" }, found)
      for name in require("lfs").dir("a") do assert(name) end
      same({ "b.txt", "b", "b.tar", "txt" }, { paths.basename("/a/b.txt"), paths.basename("b.txt", "txt"),
        paths.basename("b.tar.gz", ".gz"), paths.extname("a.b/c.txt") })
      same({ "/a", ".", "/" }, { paths.dirname("/a/b"), paths.dirname("b"), paths.dirname("/b") })
      same("beside", require("a.c"))
      refuses("there is no paths.nothing", function() return paths.nothing end)
    ]], { files = { ["a/b.txt"] = "x", ["a/c.lua"] = "local result = paths.dofile('d') return result",
      ["a/d"] = "return paths.thisfile():match('/a/d$') and 'beside'" } })
  end)

  it("lets require find files beside the one that asks", function()
    script.passes([[
      same("here there", require("inner/first"))
      refuses("no file", require, "../nothing")
    ]], { files = { ["inner/first.lua"] = "return require './second' .. require '../third'",
      ["inner/second.lua"] = "return 'here '", ["third.lua"] = "return 'there'" } })
  end)
end)

describe("torch7: image", function()
  it("crops, scales, mirrors and turns tensors", function()
    script.passes [[
      local x = torch.FloatTensor { { { 1, 2, 3 }, { 4, 5, 6 } } }
      same({ { { 3, 2, 1 }, { 6, 5, 4 } } }, image.hflip(x))
      same({ { { 4, 5, 6 }, { 1, 2, 3 } } }, image.vflip(x))
      same({ { { 2, 3 } } }, image.crop(x, 1, 0, 3, 1))
      same({ { { 5, 6 } } }, image.crop(x, "br", 2, 1))
      same({ 6 }, image.crop(x[1], 2, 1, 3, 2):view(1))
      same({ 1, 4, 6 }, image.scale(x, 6, 4, "bicubic"):size():totable())
      same({ 1, 2, 3 }, image.scale(x, "3x2"):size():totable())
      same({ 1, 4, 6 }, image.scale(x, "^4"):size():totable())
      same({ 1, 4, 6 }, image.scale(x, 6):size():totable())
      same({ 1, 2, 4 }, image.scale(x, 4.9, 2.2):size():totable())
      same(x, image.rotate(x, 0):totable())
      local bytes = torch.ByteTensor { { { 10, 200 } } }
      same({ { { 200, 10 } } }, image.hflip(bytes))
      same("torch.ByteTensor", image.hflip(bytes):type())
      refuses("columns 1 to 9", image.crop, x, 1, 0, 9, 1)
      refuses("bilinear or bicubic", image.scale, x, 2, 2, "lanczos")
      refuses("an image C,H,W or H,W", image.hflip, torch.rand(3))
      local path = os.tmpname()
      os.remove(path)
      path = path .. ".ppm"
      image.save(path, torch.Tensor { { { 0, 1 } }, { { 0.2, 2 } }, { { 1, 0 } } })
      same({ { { 0, 255 } }, { { 51, 255 } }, { { 255, 0 } } }, image.load(path, 3, "byte"):totable())
      same({ { { 0, 1 } }, { { 0.2, 1 } }, { { 1, 0 } } }, image.load(path):totable())
      same("torch.DoubleTensor", image.load(path):type())
      same("torch.FloatTensor", image.loadPPM(path, 1, "float"):type())
      same(1, image.load(path, 1, "float"):size(1))
      os.remove(path)
      path = path:gsub("ppm$", "pgm")
      image.save(path, torch.ByteTensor { { 3, 200 } })
      same({ { { 3, 200 } } }, image.load(path, nil, "byte"):totable())
      os.remove(path)
      refuses(": No such file or directory", image.load, path)
      refuses("depth: 1 or 3 expected, got 4", image.load, path, 4)
      refuses("ends in .png, .ppm or .pgm expected, got 'a.jpg'", image.save, "a.jpg", x)
      refuses("image.saveJPG: densenet writes no JPEG", image.saveJPG, "a.jpg", x)
      refuses("there is no image.lena", function() return image.lena end)
    ]]
  end)
end)

describe("torch7: threads", function()
  it("run jobs in order, with globals and random numbers of their own for each worker", function()
    script.passes [[
      local Threads = require "threads"
      Threads.serialization("threads.sharedserialize")
      mine = "main's"
      torch.manualSeed(7)
      local expected = torch.uniform()
      torch.manualSeed(7)
      local function pool(name)
        return Threads(2, function() mine = name end, function(id)
          torch.manualSeed(1)
          size = #name
          return size, id
        end)
      end
      local first, results = pool("one")
      local second = pool("three")
      same({ { 3, 1 }, { 3, 2 } }, results)
      same("main's", mine)
      same(nil, rawget(_G, "size"))
      same(expected, torch.uniform())
      local seen = {}
      local function job(i)
        counted = (counted or 0) + 1
        return i, mine, size, counted, torch.uniform()
      end
      local function done(...) seen[#seen + 1] = { ... } end
      for i = 1, 4 do
        assert(first:acceptsjob())
        first:addjob(job, done, i)
        second:addjob(job, done, 10 * i)
      end
      assert(not first:acceptsjob() and first:hasjob() and #seen == 0)
      first:synchronize()
      second:dojob()
      same({ 1, "one", 3, 1 }, { table.unpack(seen[1], 1, 4) })
      same({ 3, "one", 3, 2 }, { table.unpack(seen[3], 1, 4) })
      same({ 10, "three", 5, 1 }, { table.unpack(seen[5], 1, 4) })
      assert(seen[1][5] ~= seen[2][5] and seen[1][5] ~= seen[3][5])
      same(nil, rawget(_G, "counted"))
    ]]
  end)

  it("keep a job's error until it is asked for", function()
    script.passes [[
      local pool = require("threads")(1)
      local isDone = false
      pool:addjob(function() error("broken") end, function() isDone = true end)
      pool:dojob()
      assert(pool:haserror() and not isDone)
      refuses("broken", pool.synchronize, pool)
      assert(not pool:haserror())
      pool:specific(true)
      pool:addjob(1, function(x) return x end, function(x) isDone = x end, "ok")
      pool:terminate()
      same("ok", isDone)
      refuses("1 to 1", pool.addjob, pool, 2, print)
      refuses("a function", pool.addjob, pool, 1, "print")
    ]]
  end)
end)

describe("torch7: ffi and sys", function()
  it("put strings into byte tensors and read them", function()
    script.passes [[
      local ffi = require "ffi"
      local t = torch.CharTensor(2, 8):zero()
      ffi.copy(t[1]:data(), "a/b.jpg")
      same("a/b.jpg", ffi.string(t[1]:data()))
      same("", ffi.string(t[2]:data()))
      local text = ("xyz"):rep(3000)
      local bytes = torch.ByteTensor(#text)
      ffi.copy(bytes:data(), text, bytes:size(1))
      same(text, ffi.string(bytes:data(), #text))
      refuses("9 bytes for a tensor of 8", ffi.copy, t[1]:data(), "12345678")
      refuses("byte tensors", t.data, torch.FloatTensor(2))
      refuses("there is no ffi.cdef", function() return ffi.cdef end)
      same("hello", sys.execute("echo hello"))
      assert(sys.clock() > 0 and math.pow(2, 3) == 8 and unpack == table.unpack)
    ]]
  end)
end)
