-- JSON: what RFC 8259 allows is read, everything else is refused with its place.
local json = require "densenet.io.json"
local tablex = require "pl.tablex"

describe("json.decode", function()
  it("reads every kind of value", function()
    assert.same({ a = { 1, 2.5, -3 }, b = {}, c = true, d = false, e = json.null, f = "x" },
      json.decode('{"a": [1, 2.5, -3], "b": {}, "c": true, "d": false, "e": null, "f": "x"}'))
    assert.equal(false, json.decode("false"))
    assert.equal(json.null, json.decode(" null\n"))
    assert.equal("", json.decode('""'))
  end)

  it("keeps integers integers and other numbers floats", function()
    for text, expected in pairs({
      ["0"] = 0, ["-7"] = -7, ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["1.0"] = 1.0, ["1e3"] = 1e3, ["-1.5E-2"] = -0.015, ["9223372036854775808"] = 2 ^ 63,
    }) do
      local value = json.decode(text)
      assert.equal(expected, value)
      assert.equal(math.type(expected), math.type(value), text)
    end
  end)

  it("reads escapes and surrogate pairs", function()
    assert.equal('"\\/\b\f\n\r\té😀\0', json.decode([["\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\u0000"]]))
    assert.equal("plain é\127", json.decode('"plain é\127"'))
  end)

  it("tells arrays from objects, empty ones included", function()
    assert.is_true(json.isArray(json.decode("[]")))
    assert.is_false(json.isArray(json.decode("{}")))
  end)

  local refused = {
    [""] = "expected a value, got the end",
    ["  "] = "column 3: expected a value",
    ["tru"] = "expected a value",
    ["nul"] = "expected a value",
    ["NaN"] = "expected a value",
    ["Infinity"] = "expected a value",
    ["'a'"] = "expected a value",
    ["01"] = "not a number",
    ["-01"] = "not a number",
    ["-"] = "not a number",
    ["+1"] = "expected a value",
    [".5"] = "expected a value",
    ["1."] = "after the end",
    ["1e"] = "after the end",
    ["0x10"] = "after the end",
    ["[1e999]"] = "column 2: a number beyond what a double holds",
    ["-1e999"] = "a number beyond",
    ["1 2"] = "column 3: \"2\" after the end",
    ["[1,]"] = "column 4: expected a value",
    ["[1 2]"] = "expected , or ]",
    ["[1"] = "got the end of the text",
    ["]"] = "expected a value",
    ['{"a"}'] = "expected :",
    ['{"a":1,}'] = "expected a name in quotes",
    ["{a:1}"] = "expected a name in quotes",
    ['{"a":1 "b":2}'] = "expected , or }",
    ['{"a":1,"b":2,"a":3}'] = 'column 14: the name "a" stands twice',
    ['"abc'] = "does not end",
    ['"a\\"'] = "does not end",
    ['"\\x"'] = "unknown escape",
    ['"\\u12g4"'] = "four digits",
    ['"\\ud800"'] = "surrogate",
    ['"\\udc00"'] = "surrogate",
    ['"\\ud800\\u0041"'] = "surrogate",
    ['"a\nb"'] = "control character 10",
    ['"\255"'] = "not UTF-8",
    ["\239\187\191[]"] = "expected a value",
    ["[\n1,\n  x]"] = "line 3, column 3",
  }
  for text, reason in tablex.sort(refused) do
    it(("refuses %q"):format(text), function()
      local value, message, code = json.decode(text)
      assert.is_nil(value)
      assert.is_truthy(message:find(reason, 1, true), message)
      assert.equal("format", code)
    end)
  end

  it("goes 200 deep and no deeper", function()
    assert.is_truthy(json.decode(("["):rep(200) .. ("]"):rep(200)))
    local value, message = json.decode(("["):rep(201) .. ("]"):rep(201))
    assert.is_nil(value)
    assert.matches("deeper than 200", message)
    assert.is_nil((json.decode(('{"a":'):rep(100000))))
  end)
end)

describe("json.eachMember", function()
  it("hands over the members in order", function()
    local seen = {}
    assert.is_true(json.eachMember(' {"b": [1, {"x": 2}], "a": false} ', function(name, value)
      seen[#seen + 1] = { name, value }
    end))
    assert.same({ { "b", { 1, { x = 2 } } }, { "a", false } }, seen)
  end)

  it("stops where a member is refused, and refuses what decode does", function()
    local nSeen = 0
    local ok, message, code = json.eachMember('{"a": 1, "b": 2, damaged', function(name)
      nSeen = nSeen + 1
      return name == "b" and "not " .. name
    end)
    assert.is_nil(ok)
    assert.same({ "not b", "format", 2 }, { message, code, nSeen })
    local long = '"' .. ("a"):rep(999) .. '":1'
    for text, part in pairs({
      ["[1]"] = "expected {", ["{} x"] = "after the end", ['{"a":0,"a":0}'] = "stands twice",
      ['{"a":false,"a":0}'] = "stands twice", ["{" .. long .. "," .. long .. "}"] = 'aaa..." stands',
    }) do
      ok, message, code = json.eachMember(text, function() end)
      assert.is_nil(ok)
      assert.is_truthy(message:find(part, 1, true), message)
      assert.equal("format", code)
    end
  end)

  it("leaves a mistake of the visitor a mistake", function()
    assert.error_matches(function() json.eachMember('{"a": 1}', function() error("mine") end) end, "mine")
  end)
end)

describe("json.encode", function()
  it("sorts names, so that equal values give equal bytes", function()
    assert.equal('{"a":1,"b":{"x":true,"y":null},"c":[1,"two",[]]}',
      json.encode({ c = { 1, "two", json.array({}) }, b = { y = json.null, x = true }, a = 1 }))
    assert.equal("{}", json.encode({}))
  end)

  it("indents on request", function()
    assert.equal('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "x"\n}', json.encode({ a = { 1, {} }, b = "x" }, "  "))
  end)

  it("writes numbers so that they come back as they were", function()
    local numbers = {
      0, -1, math.maxinteger, math.mininteger, 0.1, 1.0, -0.0, 1e300, 5e-324, 2 ^ 53, 1 / 3, 1e15, 1e16,
    }
    local back = json.decode(json.encode(numbers))
    for i, number in ipairs(numbers) do
      assert.equal(number, back[i])
      assert.equal(math.type(number), math.type(back[i]))
      assert.equal(("%.17g"):format(number), ("%.17g"):format(back[i]))
    end
  end)

  it("writes any UTF-8 string so that it comes back", function()
    local all = {}
    for code = 0, 0x2FF do all[#all + 1] = utf8.char(code) end
    local text = table.concat(all) .. "😀"
    assert.equal(text, json.decode(json.encode(text)))
  end)

  it("brings arrays and objects back as what they were", function()
    local text = '{"a":[],"b":{},"c":[[],{}],"d":[null]}'
    assert.equal(text, json.encode(json.decode(text)))
  end)

  it("names the place of what JSON cannot hold", function()
    local circle = {}
    circle.again = circle
    for pattern, value in pairs({
      ["value%.a%.b as JSON: it is %-?nan"] = { a = { b = 0 / 0 } },
      ["value%[2%] as JSON: it is inf"] = { 1, math.huge },
      ["value%.f as JSON: it is a function"] = { f = print },
      ["value%.s as JSON: not UTF%-8"] = { s = "\xff" },
      ["array with the key \"x\""] = { 1, x = 2 },
      ["object with the key 2%.5"] = { [2.5] = 1 },
      ["in a circle"] = circle,
    }) do
      assert.error_matches(function() json.encode(value) end, pattern)
    end
  end)
end)
