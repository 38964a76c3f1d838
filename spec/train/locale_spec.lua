-- What we write and say is the same in every locale; a program that uses the library may have set one in
-- which 0.5 is 0,5 and "a" stands before "B".
local core = require "densenet.core"
local locale = require "spec.support.locale"
local temporary = require "spec.support.temporary"

local program = [=[
  local directory = %q
  if %q ~= "C" then
    assert(os.setlocale(%q))
    assert(("%%g"):format(0.5) == "0,5" and "a" < "B")
  end
  local json, safetensors, optim, train = dn.json, dn.safetensors, dn.optim, dn.train
  local function message(f, ...) return (tostring(select(2, pcall(f, ...))):gsub("\nstack traceback.*", "")) end
  local value = { a = 0.5, B = 1e-300, c = { 1.5, -2.25e10, 3 }, A = 0.1 }
  print(json.encode(value))
  print(json.encode(json.decode('{"x": 0.125, "y": [1e3, 2.5E-2]}')))
  assert(json.decode("0.125") == 0.125)
  print(json.decode("[0,5]")[2], message(json.encode, { x = 1 / 0 }))
  assert(safetensors.save(directory .. "/x.safetensors", { a = dn.tensor { 0.5 }, B = dn.tensor { 1 },
    A = dn.tensor { 2 } }, { b = "0.5", A = "1" }))
  print(dn.tensor { 0.5, 0.25 }, dn.tensor { 1e-10, 3.5 })
  local log = assert(train.Log.open(directory .. "/log.tsv", { "loss", "rate" }, 1))
  assert(log:add(1, { loss = 0.5, rate = 1e-7 }))
  local console = train.Console.new(1, {}, print)
  console:startTesting()
  console:finished("Test", 1, { top1 = 12.5, top5 = 0.25, count = 400 })
  console:print("%%s %%.2f", 0.5, 0.5)
  print(train.options.parse({ "-LR", "0.05" }).LR == 0.05)
  print(train.options.parse { "-LR", "0,05" })
  print(train.options.parse { "-reduction", "1.5" })
  print(train.options.help(train.options.parse { "-help" }))
  print(message(optim.schedule.cosine, { learningRate = -0.5 }))
  print(message(optim.SGD, { dn.tensor { 1 }, dn.tensor { 1 } }, { momentum = -0.5 }))
  print(optim.SGD({ dn.tensor { 1 }, dn.tensor { 1 } }, { momentum = 0.5 }))
  print(dn.nn.Dropout(0.25), message(dn.nn.Dropout, 1.5))
  print(message(dn.models.densenet, { growthRate = 0.5 }), message(dn.models.densenet, { reduction = 1.5 }))
  print(message(dn.data.transforms.ColorJitter, { brightness = -0.5 }))
  print(message(core.dropout_forward, dn.tensor { 1 }, dn.tensor { 2 }, 1.5, 0, 0, 0))
  print(message(dn.manualSeed, 0.5))
  local model = dn.models.densenet { depth = 10, growthRate = 4, inputChannels = 1, nClasses = 3, dropRate = 0.25 }
  print(model, model:plan({ 2, 1, 8, 8 }):table())
]=]

describe("a locale with a decimal comma", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  it("changes nothing that is written, read or said", function()
    local environment = locale.environment(directory)
    if not environment then return pending("no localedef, or no sources of locales, here") end
    local outputs, files = {}, {}
    for _, name in ipairs { "C", locale.name } do
      outputs[name] = temporary.output(program:format(directory, name, name), environment):gsub("/tmp/lua_%w+:", "")
      files[name] = temporary.read(directory .. "/x.safetensors") .. temporary.read(directory .. "/log.tsv")
    end
    assert.is_nil(outputs.C:find("traceback", 1, true), outputs.C)
    assert.matches('{"A":0.1,"B":1e-300,"a":0.5,"c":[1.5,-22500000000.0,3]}', outputs.C, 1, true)
    assert.matches("-LR 0,05: expected a number above 0, got '0,05'", outputs.C, 1, true)
    assert.matches("probability is 1.5; expected", outputs.C, 1, true)
    assert.equal(outputs.C, outputs[locale.name])
    assert.is_true(files.C == files[locale.name])
  end)

  it("is no option's: main.lua in it writes the same log and messages", function()
    local environment = locale.environment(directory)
    if not environment then return pending("no localedef, or no sources of locales, here") end
    local init = ("LUA_INIT='os.setlocale(\"%s\")'"):format(locale.name)
    local outputs, logs = {}, {}
    for i, prefix in ipairs { "", environment .. " " .. init } do
      local place = ("%s/%d"):format(directory, i)
      local pipe = io.popen(("%s '%s' main.lua -dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 32 "
        .. "-testSize 16 -batchSize 16 -nThreads 0 -nCores 1 -device cpu -nEpochs 1 -LR 0.05 -save '%s' 2>&1")
        :format(prefix, temporary.interpreter(), place))
      outputs[i] = pipe:read("a"):gsub("Time [%d.]+", ""):gsub("run took %w+", ""):gsub(" left [^\n]*", "")
        :gsub("[^\n]*waiting for images[^\n]*\n", "")
        :gsub(place:gsub("%p", "%%%0"), "")
      assert.is_true(pipe:close(), outputs[i])
      logs[i] = temporary.read(place .. "/log.tsv"):gsub("\t[^\t]*\t[^\t]*\n", "\n")
    end
    assert.equal(outputs[1], outputs[2])
    assert.equal(logs[1], logs[2])
    assert.matches("1\t2\t0.05\t", logs[1], 1, true)
    local one, two = temporary.read(directory .. "/1/model_1.safetensors"), temporary.read(directory
      .. "/2/model_1.safetensors")
    assert.is_true(one == two)
  end)
end)

describe("text without the locale", function()
  it("has the order of bytes", function()
    local words = { "b", "a", "", "B", "ab", "\255", "a\0b", "é" }
    table.sort(words, core.before)
    assert.same({ "", "B", "a", "a\0b", "ab", "b", "é", "\255" }, words)
    assert.is_false(core.before("a", "a"))
  end)

  it("reads numbers as tonumber does", function()
    for _, text in ipairs { "0.5", "-1e5", "12", "0x10", " 7 ", "1e999", "", "x", "1,5", "1.5.", "0.5\0" } do
      assert.equal(tonumber(text), core.number(text), text)
      assert.equal(math.type(tonumber(text)), math.type(core.number(text)))
    end
    assert.equal(0x7fffffffffffffff, core.number("9223372036854775807"))
  end)

  it("raises as string.format does", function()
    assert.has_error(function() core.format("%d", "x") end)
    assert.has_error(function() core.format() end)
    assert.equal("a 0.5 0.25 1", core.format("%s %g %s %d", "a", 0.5, 0.25, 1))
  end)

  it("is how the library formats all numbers that are not whole", function()
    local found = {}
    for path in io.popen("find lua/densenet -name '*.lua' | sort"):lines() do
      local n = 0
      for line in temporary.read(path):gmatch("([^\n]*)\n") do
        n = n + 1
        local rest = line:gsub("%%%.0f", "")
        if rest:find('%%[-+ #0-9.]*[aefgAEFG][^"]*"%)?:format%(') then
          found[#found + 1] = ("%s:%d: %s"):format(path, n, line)
        end
      end
    end
    assert.same({}, found)
  end)
end)
