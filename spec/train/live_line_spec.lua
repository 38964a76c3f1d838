local liveLine = require "densenet.train.live_line"

local function pieces()
  return { { text = "first", rank = 1 }, { text = "least", rank = 9 }, { text = "second", rank = 2 } }
end

describe("a redrawn line", function()
  it("leaves out what matters least until it fits, and keeps the order", function()
    assert.equal("first  least  second", liveLine.fit(pieces(), 0.5, 20))
    assert.equal("first  second", liveLine.fit(pieces(), 0.5, 19))
    assert.equal("first", liveLine.fit(pieces(), 0.5, 12))
    assert.equal("fir", liveLine.fit(pieces(), 0.5, 3))
    assert.equal("", liveLine.fit(pieces(), 0.5, -1))
  end)

  it("has a bar where there is room, of what is done", function()
    for share, bar in pairs { [0] = "[>         ]", [0.55] = "[=====>    ]", [0.999] = "[=========>]",
      [1] = "[==========]" } do
      assert.equal("first  " .. bar .. "  least  second", liveLine.fit(pieces(), share, 34))
    end
    assert.equal("first  least  second", liveLine.fit(pieces(), 0.5, 33))
    assert.equal(20 + 2 + 40, #liveLine.fit(pieces(), 0.5, 300))
  end)

  it("is drawn in place, and gone before anything else is printed", function()
    local written, stdout = {}, io.stdout
    local function write(_, ...) written[#written + 1] = table.concat { ... } end
    io.stdout = { write = write, flush = function() end } -- luacheck: ignore 122
    local done, message = pcall(function()
      liveLine.clear()
      liveLine.show("a")
      liveLine.show("b")
      liveLine.clear()
      liveLine.clear()
    end)
    io.stdout = stdout -- luacheck: ignore 122
    assert(done, message)
    assert.same({ "\ra\27[K", "\rb\27[K", "\r\27[K" }, written)
  end)
end)
