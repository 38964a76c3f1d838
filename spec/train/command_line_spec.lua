local CommandLine = require "densenet.train.command_line"

local reader = CommandLine.new {
  { title = "Things",
    { name = "count", type = "integer", default = 3, min = 1, max = 9, help = "how many" },
    { name = "share", type = "number", shown = "all", above = 0, below = 1, help = "how much" },
    { name = "json", type = "flag", help = "as JSON" },
  },
}

describe("a command line", function()
  it("has flags, which take no value", function()
    local values, given = reader:parse { "-json", "-count", "4" }
    assert.same({ json = true, count = 4 }, values)
    assert.same({ json = true, count = true }, given)
    assert.is_nil(reader:parse { "-json", "true" })
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
    assert.is_truthy(text:find("as JSON\n?$"))
  end)
end)
