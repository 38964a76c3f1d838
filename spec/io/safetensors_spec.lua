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

  it("is read from one file, though another one takes its name meanwhile", function()
    local function of(value)
      return { a = core.tensor_from("cpu", "byte", { value }), b = core.tensor_from("cpu", "byte", { value }) }
    end
    assert.is_true(safetensors.save(path, of(1)))
    local read_into = core.file_read_into
    core.file_read_into = function(...)
      safetensors.save(path, of(2))
      return read_into(...)
    end
    local ok, tensors = pcall(safetensors.load, path)
    core.file_read_into = read_into
    assert.is_true(ok, tensors)
    assert.same({ { 1 }, { 1 } }, { tensors.a:totable(), tensors.b:totable() })
    assert.same({ 2 }, assert(safetensors.load(path)).b:totable())
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
      assert_refused({ "expected a safetensors file, got an empty file" }, safetensors.load(path))
      temporary.write(path, "\1\2\3\4\5\6\7")
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
        ["[]"] = "expected {", [" {}"] = "expected {", ["{"] = "expected a name",
        ["{}{"] = "after the end", ['{"\xff":1}'] = "not UTF-8", ["{}\0"] = "after the end",
        ['{"a":{"dtype":' .. ("["):rep(1000) .. "}}"] = "nested deeper than 200",
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
        { 7, "expected an object" }, { json.null, "expected an object" }, { { 1 }, "got an array of 1" },
        { with("extra", 1), 'unknown field "extra"' },
        { with("dtype", nil), "field dtype is missing" }, { with("shape", nil), "field shape is missing" },
        { with("data_offsets", nil), "field data_offsets is missing" },
        { with("dtype", 5), "dtype: expected a string, got 5" },
        { with("dtype", "I32"), "expected 8 bytes for shape [2], got 0 to 2" },
        { with("dtype", "F4"), "expected 1 bytes for shape [2], got 0 to 2" },
        { with("shape", 2), "shape: expected an array, got 2" }, { with("shape", {}), "shape: expected an array" },
        { with("shape", { -2 }), "shape[1]: expected a whole number" },
        { with("shape", { 1, 2.0 }), "shape[2]: expected a whole number" },
        { with("shape", { 1e30 }), "shape[1]: expected a whole number" },
        { with("shape", { "2" }), 'shape[1]: expected a whole number from 0 to 2^63-1, got "2"' },
        { with("shape", { json.null }), "shape[1]" },
        { with("shape", { 1, 1, 1, 1, 1, 1, 1, 1, 3 }), "expected 3 bytes for shape [1, 1, 1, 1, 1, 1, 1, 1, ...]" },
        { with("shape", { 1 << 40, 1 << 40 }), "1099511627776x1099511627776 elements" },
        { with("shape", { 0, 1 << 40, 1 << 40 }), "elements are more than any file holds" },
        { with("shape", { 3 }), "expected 3 bytes for shape [3], got 0 to 2" },
        { with("data_offsets", { 0 }), "expected 2 numbers, got 1" },
        { with("data_offsets", { 0, 2, 4 }), "expected 2 numbers, got 3" },
        { with("data_offsets", { 2, 0 }), "got 2 to 0" }, { with("data_offsets", { -2, 0 }), "data_offsets[1]" },
        { with("data_offsets", { 0, 1.5 }), "data_offsets[2]" },
        { with("data_offsets", { 1, 3 }), "expected to begin at byte 0, got 1 (a hole)" },
        { with("data_offsets", { math.maxinteger - 2, math.maxinteger }), "but the file has 3 bytes of data" },
        { with("data_offsets", { 2, 4 }), "data_offsets: 2 to 4, but the file has 3 bytes of data (cut short?)" },
      }) do
        make({ ["some.name"] = case[1] }, "xyz")
        assert_refused({ 'tensor "some.name"', case[2] }, safetensors.load(path))
      end
    end)

    it("sizes times the element's bytes beyond what numbers count", function()
      make({ x = entry("F64", { 1 << 61 }, 0, 0) })
      assert_refused({ "2305843009213693952 elements" }, safetensors.load(path))
    end)

    it("tensors that overlap, leave a hole, or do not end with the file", function()
      make({ a = entry("U8", { 2 }, 0, 2), b = entry("U8", { 2 }, 1, 3) }, "xyz")
      assert_refused({ 'tensor "b"', "expected to begin at byte 2, got 1 (an overlap)" }, safetensors.load(path))
      make({ a = entry("U8", { 2 }, 0, 2), b = entry("U8", { 1 }, 3, 4) }, "wxyz")
      assert_refused({ 'tensor "b"', "expected to begin at byte 2, got 3 (a hole)" }, safetensors.load(path))
      make({ a = entry("U8", { 2 }, 0, 2) }, "xyz")
      assert_refused({ "take 2 bytes", "3 bytes of data" }, safetensors.load(path))
      make({ a = entry("U8", { 4 }, 0, 4) }, "xyz")
      assert_refused({ "0 to 4", "3 bytes of data (cut short?)" }, safetensors.load(path))
      make({}, "x")
      assert_refused({ "take 0 bytes", "1 bytes of data" }, safetensors.load(path))
    end)

    it("a file of another kind by what it is", function()
      for content, kind in pairs({
        ["version https://example.org/v1\noid sha256:" .. ("a"):rep(64) .. "\nsize 32342954\n"] = "a Git LFS pointer",
        ["<!DOCTYPE html><html><body>Not found</body></html>"] = "an HTML page",
        ["PK\3\4" .. ("\0"):rep(300)] = "a zip archive", ["\4\0\0\0\1\0\0\0" .. ("\0"):rep(300)] = "a Torch7 file",
        ["Not found"] = 'text that begins "Not found"',
      }) do
        temporary.write(path, content)
        assert_refused({ "expected a safetensors file, got " .. kind }, safetensors.load(path))
      end
    end)

    it("metadata that is not strings", function()
      for _, metadata in ipairs({ json.array({}), 7, "x", json.null }) do
        make({ __metadata__ = metadata })
        assert_refused({ "__metadata__: expected an object" }, safetensors.load(path))
      end
      make({ __metadata__ = { epoch = 7 } })
      assert_refused({ '__metadata__: "epoch": expected a string, got 7' }, safetensors.load(path))
    end)

    it("without holding any memory", function()
      local before = core.memory("cpu").blocks
      make({ a = entry("U8", { 1 << 30 }, 0, 1 << 30), b = entry("I32", { 1 }, 0, 4) }, "x")
      assert.is_nil((safetensors.load(path)))
      assert.equal(before, core.memory("cpu").blocks)
    end)
  end)

  describe("a tensor that this library cannot hold", function()
    local function make_mixed()
      return make({
        __metadata__ = { format = "pt" }, weight = entry("U8", { 3 }, 0, 3),
        mask = entry("BOOL", { 2 }, 3, 5), packed = entry("F4", { 3 }, 5, 7), later = entry("F33", { 5 }, 7, 8),
        deep = entry("U8", { 1, 1, 1, 1, 1, 1, 1, 1, 2 }, 8, 10), count = entry("U8", {}, 10, 11),
      }, "abcdefghijk")
    end

    it("is left out, with the reason; the others and the metadata are read", function()
      make_mixed()
      local tensors, metadata, leftOut = assert(safetensors.load(path))
      assert.same({ format = "pt" }, metadata)
      assert.same({ 97, 98, 99 }, tensors.weight:totable())
      assert.equal(107, tensors.count:item())
      local names = {}
      for name in pairs(tensors) do names[#names + 1] = name end
      assert.equal(2, #names)
      assert.same({
        mask = "dtype BOOL is not supported; F64, F32, F16, BF16, I64 and U8 are",
        packed = "dtype F4 is not supported; F64, F32, F16, BF16, I64 and U8 are",
        later = 'unknown dtype "F33"; F64, F32, F16, BF16, I64 and U8 are supported',
        deep = "9 dimensions are not supported, 8 are",
      }, leftOut)
    end)

    it("is refused by name when it is asked for", function()
      make_mixed()
      local tensors = assert(safetensors.load(path))
      local ok, message = pcall(function() return tensors.mask end)
      assert.is_false(ok)
      assert.equal(path .. ': tensor "mask": dtype BOOL is not supported; F64, F32, F16, BF16, I64 and U8 are', message)
      assert.is_nil(tensors.absent)
    end)

    it("is not there in most files", function()
      assert.is_true(safetensors.save(path, { x = core.tensor_from("cpu", "byte", { 1 }) }))
      assert.same({}, (select(3, safetensors.load(path))))
    end)
  end)

  -- 100,000 entries in 5 MB: time in proportion shows as a spec that ends; memory is measured.
  it("reads or refuses a header of many tensors at memory in proportion to its bytes", function()
    local function peak_of(count, damage)
      local output = temporary.output(([[
        local parts = {}
        for i = 1, %d do parts[i] = ('"%%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'):format(i) end
        local text = "{" .. table.concat(parts, ",") .. %q .. "}"
        local file = io.open(%q, "wb")
        file:write(string.pack("<s8", text))
        file:close()
        local bytes = #text
        parts, text = nil, nil
        collectgarbage()
        collectgarbage()
        local forget = io.open("/proc/self/clear_refs", "w") -- the peak becomes what is held now
        if forget then forget:write("5"):close() end
        local function peak()
          return tonumber(io.open("/proc/self/status"):read("a"):match("VmHWM:%%s*(%%d+)")) * 1024
        end
        local before = peak()
        local tensors, message = dn.safetensors.load(%q)
        print(tensors and "loaded" or message)
        print((peak() - before) / bytes)
      ]]):format(count, damage, path, path))
      local answer, ratio = output:match("^(.-)\n([%d.]+)\n$")
      return assert(answer, output), tonumber(ratio)
    end
    local most = (os.getenv("DENSENET_BUILD") or ""):find("asan") and 100 or 25 -- its sanitizer keeps what is freed
    local answer, ratio = peak_of(100000, "")
    assert.equal("loaded", answer)
    assert.is_true(ratio < most, ratio)
    answer, ratio = peak_of(100000, ',"last":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}')
    assert.is_truthy(answer:find('tensor "last": data_offsets: 0 to 9, but the file has 0 bytes', 1, true), answer)
    assert.is_true(ratio < most, ratio)
    answer = peak_of(10, ',"1":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}')
    assert.is_truthy(answer:find('"1" stands twice', 1, true), answer)
  end)
end)
