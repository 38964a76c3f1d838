-- examples/faces.lua makes folders of a NumPy file's pictures.
local dn = require "densenet"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local N, HEIGHT, WIDTH = 8, 3, 4

-- A NumPy file of N pictures; number (i, y, x) is a whole number of 255ths.
local function array(type, size)
  local header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d, %d), }"):format(type, size, HEIGHT, WIDTH)
  header = header .. (" "):rep(53 - #header % 64 + 64) .. "\n"
  local numbers = {}
  for i = 1, N * HEIGHT * WIDTH do numbers[i] = string.pack("<d", i / 255) end
  return "\x93NUMPY\1\0" .. string.pack("<I2", #header) .. header .. table.concat(numbers)
end

describe("examples/faces.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function run(content)
    temporary.write(directory .. "/a.npy", content)
    local pipe = io.popen(("eval $(make -s env); LUA_CPATH_5_4=\"$PWD/%s/?.so;;\" "
      .. "%s examples/faces.lua %s/a.npy %s/faces 2>&1")
      :format(os.getenv("DENSENET_BUILD") or "build", temporary.interpreter(), directory, directory))
    local output = pipe:read("a")
    return pipe:close(), output
  end

  it("writes every picture into train or val, in a folder of its class", function()
    if select(3, dn.image.load "spec/golden/images/rgb8.png") == "unsupported" then return pending("no PNG here") end
    local done, output = run(array("<f8", N))
    assert.is_true(done, output)
    assert.is_truthy(output:find("6 pictures to train on and 2 to test on", 1, true), output)
    local names = {}
    for _, folder in ipairs { "train/face", "train/background", "val/face", "val/background" } do
      names[folder] = table.concat(core.directory_list(directory .. "/faces/" .. folder), " ")
    end
    assert.same({ ["train/face"] = "001.png 002.png 003.png", ["val/face"] = "004.png",
      ["train/background"] = "005.png 006.png 007.png", ["val/background"] = "008.png" }, names)
    local picture = dn.image.load(directory .. "/faces/val/face/004.png", { channels = "own" })
    local expected = dn.range(3 * HEIGHT * WIDTH + 1, 4 * HEIGHT * WIDTH):view(1, HEIGHT, WIDTH):type("byte")
    assert.same(expected:totable(), picture:totable())
  end)

  it("refuses other files", function()
    for _, content in ipairs { "text", array("<f4", N), array("<f8", N + 1), array("<f8", N):sub(1, -2) } do
      local done, output = run(content)
      assert.is_nil(done)
      assert.is_truthy(output:find("expected", 1, true), output)
    end
  end)
end)
