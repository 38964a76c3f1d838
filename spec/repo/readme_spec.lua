-- What the README shows must work: its Lua runs, its commands parse, its targets exist.

local temporary = require "spec.support.temporary"
local options = require "densenet.train.options"

local readme = temporary.read("README.md")

-- The fenced blocks of a language, with the line each begins on.
local function blocks(language)
  local found = {}
  for start, text in readme:gmatch("()```" .. language .. "\n(.-)```") do
    local _, line = readme:sub(1, start):gsub("\n", "")
    found[#found + 1] = { line = line + 1, text = text }
  end
  return found
end

local function hasFashionMnist()
  local directory = os.getenv("FASHION_MNIST_DIR") or "/usr/share/datasets/fashion-mnist"
  local file = io.open(directory .. "/train-images-idx3-ubyte.gz")
  return file and file:close()
end

describe("README.md", function()
  for _, block in ipairs(blocks("lua")) do
    it(("shows Lua that runs (line %d)"):format(block.line), function()
      if block.text:find("fashion-mnist", 1, true) and not hasFashionMnist() then
        return pending("no Fashion-MNIST here")
      end
      local printed = 0
      local environment = setmetatable({ print = function() printed = printed + 1 end }, { __index = _G })
      assert(load(block.text, "=README.md", "t", environment))()
      assert.is_true(printed > 0)
    end)
  end

  it("shows commands of main.lua that its options accept", function()
    local count = 0
    for _, block in ipairs(blocks("sh")) do
      for line in block.text:gmatch("[^\n]+") do
        local arguments = line:gsub("%s+#.*$", ""):match("^lua5%.4 main%.lua%s*(.*)$")
        if arguments then
          local argv = {}
          for word in arguments:gmatch("%S+") do argv[#argv + 1] = word end
          local parsed, message = options.parse(argv)
          assert.message(("%s: %s"):format(line, tostring(message))).is_truthy(parsed)
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 5)
  end)

  it("lists every option of main.lua", function()
    local optionList = require "densenet.train.option_list"
    for family in pairs(require("densenet.models.family").known) do
      for _, group in ipairs(optionList.groups(family)) do
        for _, option in ipairs(group) do
          assert.message(option.name).is_truthy(readme:find("\n| `-" .. option.name .. "` |", 1, true))
        end
      end
    end
  end)

  it("names targets that the Makefile has, and files that are there", function()
    local makefile = temporary.read("Makefile")
    local commands = {}
    for _, block in ipairs(blocks("sh")) do commands[#commands + 1] = "\n" .. block.text end
    for target in table.concat(commands):gmatch("\nmake (%l[%l-]*)") do
      assert.message("make " .. target).is_truthy(makefile:find("\n" .. target .. ":", 1, true))
    end
    for target in readme:gmatch("`make (%l[%l-]*)`") do
      assert.message("make " .. target).is_truthy(makefile:find("\n" .. target .. ":", 1, true))
    end
    for path in readme:gmatch("\n([%w_]+[/.][%w_/.]*)%s%s+%a") do
      local file = io.open(path)
      assert.message(path).is_truthy(file)
      file:close()
    end
  end)
end)
