-- safetensors: what is saved comes back, other people's files load, and no file, however damaged,
-- does more than give a message.
local core = require "densenet.core"
local json = require "densenet.io.json"
local safetensors = require "densenet.io.safetensors"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden"

describe("safetensors", function()
  local directory, path

  before_each(function()
    directory = temporary.directory()
    path = directory .. "/file.safetensors"
  end)

  after_each(function() temporary.remove(directory) end)

  -- A file with this header (text or value) and data.
  local function make(header, data)
    local text = type(header) == "string" and header or json.encode(header)
    return temporary.write(path, string.pack("<s8", text) .. (data or ""))
  end

  local function entry(dtype, shape, first, past)
    return { dtype = dtype, shape = json.array(shape), data_offsets = { first, past } }
  end

  local function assert_refused(parts, result, message, code)
    assert.is_nil(result)
    assert.equal("format", code)
    assert.is_truthy(message:find(path, 1, true), message)
    for _, part in ipairs(parts) do
      assert.is_truthy(message:find(part, 1, true), ("%q is missing in: %s"):format(part, message))
    end
  end

  describe("saved and loaded", function()
    it("keeps every dtype, shape and bit", function()
      local tensors = {}
      for dtype, values in pairs({
        double = { 0.1, -1e300, math.huge }, float = { 0.5, -2 ^ 100, 0 }, half = { 0.5, -65504, 2 ^ -24 },
        bfloat16 = { 0.5, -2 ^ 100, 3 }, long = { math.maxinteger, math.mininteger, -1 }, byte = { 0, 255, 7 },
      }) do
        tensors[dtype .. ".vector"] = core.tensor_from("cpu", dtype, values)
        tensors[dtype .. ".cube"] = core.tensor_from("cpu", dtype, { { { 1 }, { 2 } }, { { 3 }, { 4 } } })
        tensors[dtype .. ".scalar"] = core.tensor_from("cpu", dtype, 5)
        tensors[dtype .. ".empty"] = core.tensor_new("cpu", dtype, { 2, 0, 3 })
      end
      assert.is_true(safetensors.save(path, tensors, { format = "pt", epoch = "7" }))
      local loaded, metadata = assert(safetensors.load(path))
      assert.same({ format = "pt", epoch = "7" }, metadata)
      for name, tensor in pairs(tensors) do
        local back = loaded[name]
        assert.equal(tensor:dtype(), back:dtype())
        assert.same(tensor:size(), back:size())
        assert.same(tensor:totable(), back:totable())
        loaded[name] = nil
      end
      assert.is_nil(next(loaded))
    end)

    it("keeps NaN and its payload", function()
      make({ x = entry("F32", { 1 }, 0, 4) }, "\1\2\xc3\x7f")
      local loaded = assert(safetensors.load(path))
      assert.is_true(safetensors.save(path, loaded))
      assert.equal("\1\2\xc3\x7f", temporary.read(path):sub(-4))
    end)

    it("takes views", function()
      local matrix = core.tensor_from("cpu", "float", { { 1, 2, 3 }, { 4, 5, 6 } })
      assert.is_true(safetensors.save(path, { turned = matrix:t(), part = matrix:narrow(2, 2, 2) }))
      local loaded = assert(safetensors.load(path))
      assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, loaded.turned:totable())
      assert.same({ { 2, 3 }, { 5, 6 } }, loaded.part:totable())
    end)

    it("of nothing is a file too", function()
      assert.is_true(safetensors.save(path, {}))
      local loaded, metadata = safetensors.load(path)
      assert.same({}, loaded)
      assert.same({}, metadata)
    end)

    it("gives the same bytes for the same tensors, and aligned data", function()
      local function tensors(order)
        local made = {}
        for _, name in ipairs(order) do
          local dtype = name:match("%a+")
          made[name] = core.tensor_from("cpu", dtype, { 1, 2, 3 })
        end
        return made
      end
      assert.is_true(safetensors.save(path, tensors({ "byte", "half", "float", "long" }), { a = "1", b = "2" }))
      local first = temporary.read(path)
      assert.is_true(safetensors.save(path, tensors({ "long", "float", "half", "byte" }), { b = "2", a = "1" }))
      assert.equal(first, temporary.read(path))
      local length = string.unpack("<I8", first)
      assert.equal(0, length % 8)
      local header = json.decode(first:sub(9, 8 + length))
      assert.same({ 0, 24 }, header.long.data_offsets)
      assert.same({ 24, 36 }, header.float.data_offsets)
      assert.same({ 36, 42 }, header.half.data_offsets)
      assert.same({ 42, 45 }, header.byte.data_offsets)
    end)

    it("allows any UTF-8 name", function()
      assert.is_true(safetensors.save(path, { ['a "quoted" é\n'] = core.tensor_from("cpu", "byte", { 1 }) }))
      assert.same({ 1 }, assert(safetensors.load(path))['a "quoted" é\n']:totable())
    end)
  end)

  describe("written by PyTorch", function()
    for _, name in ipairs({ "bc", "plain", "imagenet_stem" }) do
      it("loads: " .. name, function()
        local tensors, metadata = safetensors.load(("%s/%s.safetensors"):format(GOLDEN, name))
        assert.is_truthy(tensors, metadata)
        assert.equal("string", type(metadata.blocks))
        assert.equal("long", tensors["in/target"]:dtype())
        assert.equal("float", tensors["in/x"]:dtype())
        assert.equal("double", tensors["out/logits"]:dtype())
        assert.same({}, tensors["out/loss"]:size())
        assert.equal(tonumber(metadata.batch), tensors["in/x"]:size(1))
        assert.is_true(tensors["out/loss"]:item() > 0)
        for _, target in ipairs(tensors["in/target"]:totable()) do
          assert.is_true(target >= 0 and target < tonumber(metadata.classes))
        end
      end)
    end
  end)

  describe("saving", function()
    it("refuses what the format cannot hold, as a mistake of the caller", function()
      local tensor = core.tensor_from("cpu", "byte", { 1 })
      assert.error_matches(function() safetensors.save(path, { tensor }) end, "name is a UTF%-8 string.*not 1")
      assert.error_matches(function() safetensors.save(path, { ["\xff"] = tensor }) end, "name is a UTF%-8 string")
      assert.error_matches(function() safetensors.save(path, { __metadata__ = tensor }) end, "__metadata__")
      assert.error_matches(function() safetensors.save(path, { a = 1 }) end, '"a" is not a tensor but a number')
      assert.error_matches(function() safetensors.save(path, { a = io.stdout }) end, '"a" is not a tensor')
      assert.error_matches(function() safetensors.save(path, { a = tensor }, { epoch = 7 }) end, "metadata.*epoch = 7")
      tensor:free()
      assert.error_matches(function() safetensors.save(path, { a = tensor }) end, "freed")
      assert.is_false(core.file_exists(path))
    end)

    it("where nothing can be written says so", function()
      local ok, message, code = safetensors.save(directory .. "/no/where", {})
      assert.is_nil(ok)
      assert.matches("/no/where: No such file", message)
      assert.equal("io", code)
    end)
  end)

  describe("refuses", function()
    it("a file that is not there, with the system's word", function()
      local tensors, message, code = safetensors.load(path)
      assert.is_nil(tensors)
      assert.is_truthy(message:find(path .. ": No such file", 1, true))
      assert.equal("io", code)
    end)

    it("a header that does not fit its file", function()
      temporary.write(path, "")
      assert_refused({ "0 bytes" }, safetensors.load(path))
      temporary.write(path, "1234567")
      assert_refused({ "7 bytes" }, safetensors.load(path))
      temporary.write(path, string.pack("<I8", 100) .. "{}")
      assert_refused({ "header of 100 bytes", "the file has 2" }, safetensors.load(path))
      temporary.write(path, string.pack("<I8", 100000001) .. "{}")
      assert_refused({ "header of 100000001 bytes", "at most 100000000" }, safetensors.load(path))
      temporary.write(path, ("\xff"):rep(8) .. "{}")
      assert_refused({ "2^63 or more" }, safetensors.load(path))
      temporary.write(path, ("\xff"):rep(7) .. "\x7f{}")
      assert_refused({ "header of 9223372036854775807 bytes" }, safetensors.load(path))
    end)

    it("a header that is not one JSON object", function()
      for text, part in pairs({
        [""] = "expected {", ["[]"] = "expected {", [" {}"] = "expected {", ["{"] = "expected a name",
        ['{"a":1}{'] = "after the end", ['{"\xff":1}'] = "not UTF-8", ["{}\0"] = "after the end",
      }) do
        make(text)
        assert_refused({ "header", part }, safetensors.load(path))
      end
    end)

    it("two tensors of one name", function()
      local one = '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
      make("{" .. one .. "," .. one .. "}", "x")
      assert_refused({ '"a" stands twice' }, safetensors.load(path))
    end)

    it("an entry that is not as it has to be, naming it", function()
      local whole = { dtype = "U8", shape = { 2 }, data_offsets = { 0, 2 } }
      local function with(field, value)
        local changed = {}
        for name, right in pairs(whole) do changed[name] = right end
        changed[field] = value
        return changed
      end
      for _, case in ipairs({
        { 7, "expected an object" }, { json.null, "expected an object" }, { { 1 }, "came an array of 1" },
        { with("extra", 1), 'unknown field "extra"' },
        { with("dtype", nil), "field dtype is missing" }, { with("shape", nil), "field shape is missing" },
        { with("data_offsets", nil), "field data_offsets is missing" },
        { with("dtype", "F33"), 'unknown dtype "F33"' }, { with("dtype", 5), "unknown dtype 5" },
        { with("dtype", "I32"), "dtype I32 is not supported; F64, F32, F16, BF16, I64 and U8 are" },
        { with("dtype", "BOOL"), "dtype BOOL is not supported" },
        { with("shape", 2), "shape: expected an array, came 2" }, { with("shape", {}), "shape: expected an array" },
        { with("shape", { -2 }), "shape[1]: expected a whole number" },
        { with("shape", { 1, 2.0 }), "shape[2]: expected a whole number" },
        { with("shape", { 1e30 }), "shape[1]: expected a whole number" },
        { with("shape", { "2" }), 'shape[1]: expected a whole number from 0 to 2^63-1, came "2"' },
        { with("shape", { json.null }), "shape[1]" },
        { with("shape", { 1, 1, 1, 1, 1, 1, 1, 1, 2 }), "9 dimensions are not supported" },
        { with("shape", { 1 << 40, 1 << 40 }), "1099511627776x1099511627776 elements" },
        { with("shape", { 0, 1 << 40, 1 << 40 }), "elements are more than any file holds" },
        { with("shape", { 3 }), "expected 3 bytes for shape [3], came 0 to 2" },
        { with("data_offsets", { 0 }), "expected 2 numbers, came 1" },
        { with("data_offsets", { 0, 2, 4 }), "expected 2 numbers, came 3" },
        { with("data_offsets", { 2, 0 }), "came 2 to 0" }, { with("data_offsets", { -2, 0 }), "data_offsets[1]" },
        { with("data_offsets", { 0, 1.5 }), "data_offsets[2]" },
        { with("data_offsets", { 1, 3 }), "expected to begin at byte 0, came 1 (a hole)" },
        { with("data_offsets", { math.maxinteger - 2, math.maxinteger }), "(a hole)" },
      }) do
        make({ ["some.name"] = case[1] }, "xy")
        assert_refused({ 'tensor "some.name"', case[2] }, safetensors.load(path))
      end
    end)

    it("sizes times the element's bytes beyond what numbers count", function()
      make({ x = entry("F64", { 1 << 61 }, 0, 0) })
      assert_refused({ "2305843009213693952 elements" }, safetensors.load(path))
    end)

    it("tensors that overlap, leave a hole, or do not end with the file", function()
      make({ a = entry("U8", { 2 }, 0, 2), b = entry("U8", { 2 }, 1, 3) }, "xyz")
      assert_refused({ 'tensor "b"', "expected to begin at byte 2, came 1 (an overlap)" }, safetensors.load(path))
      make({ a = entry("U8", { 2 }, 0, 2), b = entry("U8", { 1 }, 3, 4) }, "wxyz")
      assert_refused({ 'tensor "b"', "expected to begin at byte 2, came 3 (a hole)" }, safetensors.load(path))
      make({ a = entry("U8", { 2 }, 0, 2) }, "xyz")
      assert_refused({ "take 2 bytes", "3 bytes of data" }, safetensors.load(path))
      make({ a = entry("U8", { 4 }, 0, 4) }, "xyz")
      assert_refused({ "take 4 bytes", "3 bytes of data (cut short?)" }, safetensors.load(path))
      make({}, "x")
      assert_refused({ "take 0 bytes", "1 bytes of data" }, safetensors.load(path))
    end)

    it("metadata that is not strings", function()
      for _, metadata in ipairs({ json.array({}), 7, "x", json.null }) do
        make({ __metadata__ = metadata })
        assert_refused({ "__metadata__: expected an object" }, safetensors.load(path))
      end
      make({ __metadata__ = { epoch = 7 } })
      assert_refused({ '__metadata__: "epoch": expected a string, came 7' }, safetensors.load(path))
    end)

    it("without holding any memory", function()
      local before = core.memory("cpu").blocks
      make({ a = entry("U8", { 1 << 30 }, 0, 1 << 30), b = entry("I32", { 1 }, 0, 4) }, "x")
      assert.is_nil((safetensors.load(path)))
      assert.equal(before, core.memory("cpu").blocks)
    end)
  end)

  -- One to four random changes to a right file: bytes set, bits turned, pieces cut out, doubled or
  -- swapped for what a header is made of.
  local PIECES = {
    "0", "9", "-1", "1e9", "99999999999999999999", "[", "]", "{", "}", ",", '"', "null", "F32", "\0", "\xff",
  }

  local function mutate(text)
    for _ = 1, math.random(4) do
      local at = math.random(#text)
      local past = math.min(#text, at + math.random(8))
      local kind = math.random(6)
      local before, after = text:sub(1, at - 1), text:sub(at + 1)
      if kind == 1 then text = before .. string.char(math.random(0, 255)) .. after
      elseif kind == 2 then text = before .. string.char(text:byte(at) ~ (1 << math.random(0, 7))) .. after
      elseif kind == 3 then text = before .. text:sub(past)
      elseif kind == 4 then text = text:sub(1, past) .. text:sub(at)
      elseif kind == 5 then text = before .. PIECES[math.random(#PIECES)] .. after
      else text = text:sub(1, math.max(1, #text - math.random(16))) end
    end
    return text
  end

  it("survives three thousand damaged files", function()
    assert.is_true(safetensors.save(path, {
      weight = core.tensor_from("cpu", "float", { { 1, 2, 3 }, { 4, 5, 6 } }),
      count = core.tensor_from("cpu", "long", 9), empty = core.tensor_new("cpu", "half", { 0, 4 }),
      pixels = core.tensor_from("cpu", "byte", { 1, 2, 3 }),
    }, { format = "pt" }))
    local right = temporary.read(path)
    local n_loaded, n_refused = 0, 0
    for _ = 1, 3000 do
      temporary.write(path, mutate(right))
      local tensors, message, code = safetensors.load(path)
      if tensors then
        n_loaded = n_loaded + 1
        for _, tensor in pairs(tensors) do assert.equal("cpu", tensor:device()) end
      else
        n_refused = n_refused + 1
        assert.equal("format", code)
        assert.is_truthy(message:find(path, 1, true), message)
      end
    end
    assert.is_true(n_loaded > 30, n_loaded .. " loaded")
    assert.is_true(n_refused > 1500, n_refused .. " refused")
  end)
end)
