-- What README and docs show must work: their Lua runs, their commands parse, what they name exists.

local temporary = require "spec.support.temporary"
local options = require "densenet.train.options"

local function listed(command)
  local pipe, list = assert(io.popen(command)), {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local pages = listed("ls *.md docs/*.md")
local makefile = temporary.read("Makefile")

-- The fenced blocks of a language in a page, with the line each begins on.
local function blocks(text, language)
  local found = {}
  for start, block in text:gmatch("()```" .. language .. "\n(.-)```") do
    local _, line = text:sub(1, start):gsub("\n", "")
    found[#found + 1] = { line = line + 1, text = block }
  end
  return found
end

local function fileExists(path)
  local file = io.open(path)
  return file and file:close()
end

local function hasFashionMnist()
  return fileExists((os.getenv("FASHION_MNIST_DIR") or "/usr/share/datasets/fashion-mnist")
    .. "/train-images-idx3-ubyte.gz")
end

for _, page in ipairs(pages) do
  describe(page, function()
    local text = temporary.read(page)
    local shell = blocks(text, "sh")

    for _, block in ipairs(blocks(text, "lua")) do
      it(("shows Lua that runs (line %d)"):format(block.line), function()
        if block.text:find("fashion-mnist", 1, true) and not hasFashionMnist() then
          return pending("no Fashion-MNIST here")
        end
        local printed = 0
        local environment = setmetatable({ print = function() printed = printed + 1 end }, { __index = _G })
        assert(load(block.text, "=" .. page, "t", environment))()
        assert.is_true(printed > 0)
      end)
    end

    if text:find("lua5.4 main.lua", 1, true) and #shell > 0 then
      it("shows commands of main.lua that its options accept", function()
        for _, block in ipairs(shell) do
          for line in block.text:gmatch("[^\n]+") do
            local arguments = line:gsub("%s+#.*$", ""):match("^lua5%.4 main%.lua%s*(.*)$")
            if arguments then
              local argv = {}
              for word in arguments:gmatch("%S+") do argv[#argv + 1] = word end
              local parsed, message = options.parse(argv)
              assert.message(("%s: %s"):format(line, tostring(message))).is_truthy(parsed)
            end
          end
        end
      end)
    end

    it("names targets that the Makefile has, and files that are there", function()
      local named = {}
      for _, block in ipairs(shell) do
        for target in ("\n" .. block.text):gmatch("\nmake (%l[%l-]*)") do named[#named + 1] = target end
      end
      for target in text:gmatch("`make (%l[%l-]*)") do named[#named + 1] = target end
      for _, target in ipairs(named) do
        local pattern = "\n" .. target:gsub("%-", "%%-") .. "[ %w-]*:"
        assert.message("make " .. target).is_truthy(makefile:find(pattern))
      end
      local directory = page:match("^(.*/)") or ""
      for path in text:gmatch("%]%(([^)#]+)") do
        if not path:find("^https?:") then assert.message(path).is_truthy(fileExists(directory .. path)) end
      end
      for path in text:gmatch("`([%w_]+/[%w_/]*[%w_]%.[%w]+)`") do
        if not path:find("^build/") then assert.message(path).is_truthy(fileExists(path)) end
      end
    end)
  end)
end

describe("docs/options.md", function()
  it("lists every option of main.lua", function()
    local text = temporary.read("docs/options.md")
    local nOptions = 0
    for _, group in ipairs(require "densenet.train.option_list".groups "densenet") do
      for _, option in ipairs(group) do
        nOptions = nOptions + 1
        assert.message(option.name).is_truthy(text:find("\n| `-" .. option.name .. "` |", 1, true))
      end
    end
    assert.is_true(nOptions > 50)
  end)
end)

describe("docs/operations.md", function()
  it("is what scripts/operation_table.lua makes of dn_ops.def", function()
    local made = table.concat(listed(temporary.interpreter() .. " scripts/operation_table.lua"), "\n") .. "\n"
    assert.message("lua5.4 scripts/operation_table.lua > docs/operations.md")
      .is_true(made == temporary.read("docs/operations.md"))
  end)
end)

describe("the version", function()
  it("is one", function()
    local version = require("densenet").version
    assert.is_truthy(fileExists(("rockspec/densenet-%s-1.rockspec"):format(version)))
    local rockspec = temporary.read(("rockspec/densenet-%s-1.rockspec"):format(version))
    assert.is_truthy(rockspec:find(('version = "%s-1"'):format(version), 1, true))
    local moving = temporary.read("rockspec/densenet-scm-1.rockspec"):gsub('"scm%-1"', '"' .. version .. '-1"')
    assert.equal(moving, rockspec)
    assert.is_truthy(temporary.read("CHANGELOG.md"):find("## " .. version, 1, true))
  end)
end)

describe("README.md", function()
  it("leads to a first success in at most 180 lines", function()
    local _, nLines = temporary.read("README.md"):gsub("\n", "")
    assert.is_true(nLines <= 180)
  end)
end)
