-- densenet convert as its users meet it: a process with an exit status.
local dn = require "densenet"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local absolute = temporary.absolute

describe("scripts/convert.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- Exit status, stdout, stderr.
  local function convert(line)
    local _, _, status = os.execute(("cd '%s' && DENSENET_BUILD='%s' OMP_WAIT_POLICY=passive timeout -s KILL 60 "
      .. "'%s' '%s' %s >stdout 2>stderr"):format(directory, absolute(os.getenv("DENSENET_BUILD") or "build"),
      temporary.interpreter(), absolute "scripts/convert.lua", line))
    return status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
  end
  local T7 = absolute "spec/golden/t7/model_imagenet_custom.t7"

  it("carries a network from kind to kind, with its numbers, classes and recipe", function()
    temporary.write(directory .. "/names.txt", "ant\nbee\ncat\ndog\nelk\n")
    local status, output, errors = convert(T7 .. " a.safetensors -classes names.txt -preprocess torch7")
    assert.equal(0, status, errors)
    assert.equal("a.safetensors: DenseNet-BC: blocks of 2, 2 layers, growth rate 4, 4621 parameters\n", output)
    for _, line in ipairs { "a.safetensors b.onnx -inputSize 3,32,32 -normalize true", "b.onnx c.t7", "a.safetensors d.onnx",
      "d.onnx e.safetensors" } do
      status, _, errors = convert(line)
      assert.equal(0, status, errors)
    end
    local first = assert(dn.models.load(directory .. "/a.safetensors"))
    local x = dn.randn(2, 3, 32, 32):float()
    local expected = first:forward(x):clone()
    for _, name in ipairs { "b.onnx", "c.t7", "d.onnx", "e.safetensors" } do
      local model = assert(dn.models.load(directory .. "/" .. name))
      assert.equal(0, (model:forward(x) - expected):abs():max())
      if not name:find "t7$" then
        assert.same({ "ant", "bee", "cat", "dog", "elk" }, model.classes)
        assert.same(first.recipe, model.recipe)
      end
    end
    assert.equal(temporary.read(directory .. "/a.safetensors"), temporary.read(directory .. "/e.safetensors"))
    assert.same({ 3, 224, 224 }, { first.config.inputChannels, first.recipe.crop, first.recipe.crop })
  end)

  it("gives a file that a run goes on from", function()
    assert.equal(0, (convert(T7 .. " a.safetensors")))
    local formats = require "densenet.models.formats"
    local content = assert(formats.read(directory .. "/a.safetensors"))
    assert.same({ 2, 2 }, content.config.blocks)
    assert.is_nil(content.state)
  end)

  it("says in a sentence what it cannot do", function()
    local function refuses(expectedStatus, part, line)
      local status, _, errors = convert(line)
      assert.equal(expectedStatus, status, errors)
      assert.is_truthy(errors:find(part, 1, true), errors)
    end
    refuses(2, "a file to read and one to write expected, got 1 names", T7)
    refuses(2, "x.pth: a name that ends in .safetensors, .onnx or .t7 expected", T7 .. " x.pth")
    refuses(2, "does not say what size its images have: -inputSize 3,224,224", T7 .. " x.onnx")
    refuses(2, "-inputSize 3,x,3: channels,height,width expected", T7 .. " x.onnx -inputSize 3,x,3")
    refuses(2, "-inputSize 3,3: three numbers expected, got 2", T7 .. " x.onnx -inputSize 3,3")
    refuses(2, "does not say what images are normalised with", T7 .. " x.onnx -inputSize 3,32,32 -normalize true")
    refuses(1, "names posix.system, which no weights need; nothing was executed",
      absolute "spec/golden/pth/evil_os_system_zip.pth" .. " x.safetensors")
    refuses(1, "none.pth", "none.pth x.safetensors")
    refuses(1, "no/x.safetensors", T7 .. " no/x.safetensors")
    assert.is_false(core.file_exists(directory .. "/x.onnx"))
  end)
end)
