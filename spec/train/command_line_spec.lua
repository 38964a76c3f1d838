local CommandLine = require "densenet.train.command_line"

local reader = CommandLine.new {
  { title = "Things",
    { name = "count", type = "integer", default = 3, min = 1, max = 9, help = "how many" },
    { name = "share", type = "number", shown = "all", above = 0, below = 1, help = "how much" },
    { name = "json", type = "flag", help = "as JSON" },
    { name = "list", type = "word", choices = { "all", "new" }, isOptional = true, help = "what there is" },
    { name = "out", type = "text", shown = "none", help = "where to" },
  },
}

describe("a command line", function()
  it("has flags, which take no value", function()
    local values, given = reader:parse { "-json", "-count", "4" }
    assert.same({ json = true, count = 4 }, values)
    assert.same({ json = true, count = true }, given)
    assert.is_nil(reader:parse { "-json", "true" })
  end)

  it("takes two dashes for one, and a value after an equals sign", function()
    for _, words in ipairs { { "--count", "4" }, { "-count=4" }, { "--count=4" } } do
      local values, given = reader:parse(words)
      assert.equal(4, values.count)
      assert.same({ count = true }, given)
    end
    assert.equal("a=b", reader:parse({ "-out=a=b" }).out)
    assert.equal("-json", reader:parse({ "-out=-json" }).out)
    for line, reason in pairs { ["--count=ten"] = "-count ten: expected an integer of at least 1 and of at most 9, "
      .. "got 'ten'", ["-count="] = "got ''", ["--json=true"] = "-json takes no value, got 'true'",
      ["---count=4"] = "unknown option '---count=4'; did you mean -count?", ["--"] = "unknown option '--'",
      ["-"] = "unknown option '-'", ["-=4"] = "unknown option '-=4'" } do
      local values, message = reader:parse { line }
      assert.is_nil(values, line)
      assert.is_truthy(message:find(reason, 1, true), message)
    end
    local _, message = reader:parse { "-count", "4", "--count=5" }
    assert.equal("-count is given twice", message)
  end)

  it("takes a word that may be left out, wherever it stands", function()
    assert.is_true(reader:parse({ "-list" }).list)
    assert.equal("all", reader:parse({ "-list", "all" }).list)
    assert.equal("new", reader:parse({ "--list=new", "-json" }).list)
    assert.same({ list = true, count = 4 }, (reader:parse { "-list", "-count", "4" }))
    assert.same({ list = true, count = 4 }, (reader:parse { "-count", "4", "-list" }))
    local _, message = reader:parse { "-list", "al" }
    assert.equal("-list al: expected all, new or nothing, got 'al'; did you mean all?", message)
    _, message = reader:parse { "-list=" }
    assert.is_truthy(message:find("expected all, new or nothing, got ''", 1, true))
  end)

  it("is asked for one text before it is read", function()
    for _, words in ipairs { { "-x", "-out", "a" }, { "--out", "a" }, { "-out=a", "-x" }, { "--out=a" } } do
      assert.equal("a", CommandLine.textOf(words, "out"))
    end
    assert.is_nil(CommandLine.textOf({ "-outer", "a" }, "out"))
  end)

  it("takes values that begin with a minus, but not options, for values", function()
    local _, message = reader:parse { "-count", "-2" }
    assert.is_truthy(message:find("expected an integer of at least 1 and of at most 9, got '-2'", 1, true))
    _, message = reader:parse { "-count", "-json" }
    assert.is_truthy(message:find("-count needs a value", 1, true))
  end)

  it("reads numbers as people write them", function()
    for text, value in pairs { ["0.5"] = 0.5, [".5"] = 0.5, ["5e-1"] = 0.5, ["+0.5"] = 0.5 } do
      assert.equal(value, reader:parse { "-share", text }.share)
    end
    for _, text in ipairs { "1", "0", "0x.8p0", "a", "0.5.5", "" } do
      assert.is_nil(reader:parse { "-share", text }, text)
    end
  end)

  it("explains itself", function()
    local text = reader:help()
    assert.is_truthy(text:find("\nThings\n  -count N ", 1, true))
    assert.is_truthy(text:find("how many [3]", 1, true))
    assert.is_truthy(text:find("how much [all]", 1, true))
    assert.is_truthy(text:find("-json +as JSON\n"))
    assert.is_truthy(text:find("-list [all|new]  ", 1, true))
    assert.is_truthy(text:find("what there is\n", 1, true))
  end)
end)
