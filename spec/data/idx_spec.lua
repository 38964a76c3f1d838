-- IDX files: read as they are or packed, and refused when anything in them does not add up.
local idx = require "densenet.data.idx"
local temporary = require "spec.support.temporary"

describe("idx.load", function()
  local directory, path

  before_each(function()
    directory = temporary.directory()
    path = directory .. "/file-idx"
  end)

  after_each(function() temporary.remove(directory) end)

  local function make(magic, sizes, content)
    local parts = { string.pack(">I4", magic) }
    for _, size in ipairs(sizes) do parts[#parts + 1] = string.pack(">I4", size) end
    return temporary.write(path, table.concat(parts) .. content)
  end

  local function assert_refused(parts, result, message, code)
    assert.is_nil(result)
    assert.equal("format", code)
    assert.is_truthy(message:find(path, 1, true), message)
    for _, part in ipairs(parts) do
      assert.is_truthy(message:find(part, 1, true), ("%q is missing in: %s"):format(part, message))
    end
  end

  it("gives a byte tensor of the file's sizes", function()
    make(0x803, { 2, 1, 3 }, "\0\1\2\253\254\255")
    local tensor = assert(idx.load(path, 3))
    assert.equal("byte", tensor:dtype())
    assert.same({ 2, 1, 3 }, tensor:size())
    assert.same({ { { 0, 1, 2 } }, { { 253, 254, 255 } } }, tensor:totable())
    make(0x801, { 3 }, "abc")
    assert.same({ 97, 98, 99 }, assert(idx.load(path, 1)):totable())
  end)

  it("unpacks gzip, whatever the file is called", function()
    make(0x801, { 3 }, "abc")
    assert(os.execute("gzip -f " .. path))
    assert.same({ 97, 98, 99 }, assert(idx.load(path .. ".gz", 1)):totable())
    assert(os.rename(path .. ".gz", path))
    assert.same({ 97, 98, 99 }, assert(idx.load(path, 1)):totable())
    make(0x801, { 3 }, "abc")
    assert(os.rename(path, path .. ".gz"))
    assert.same({ 97, 98, 99 }, assert(idx.load(path .. ".gz", 1)):totable())
  end)

  it("tells a file of labels from one of images", function()
    make(0x801, { 3 }, "abc")
    assert_refused({
      "expected 0x00000803 (bytes, 3 dimensions), came 0x00000801 (bytes, 1 dimension)",
    }, idx.load(path, 3))
    make(0x803, { 1, 1, 1 }, "a")
    assert_refused({ "expected 0x00000801", "came 0x00000803" }, idx.load(path, 1))
  end)

  it("refuses other contents by their magic number", function()
    make(0xD01, { 1 }, "abcd")
    assert_refused({ "came 0x00000d01 (floats, 1 dimension)" }, idx.load(path, 1))
    temporary.write(path, "<html>not found</html>")
    assert_refused({ "came 0x3c68746d" }, idx.load(path, 1))
  end)

  it("refuses a length that is not what the sizes say", function()
    make(0x803, { 2, 2, 2 }, "1234567")
    assert_refused({ "expected 24 bytes for 2x2x2, came 23" }, idx.load(path, 3))
    make(0x803, { 2, 2, 2 }, "123456789")
    assert_refused({ "expected 24 bytes for 2x2x2, came 25" }, idx.load(path, 3))
    make(0x803, { 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF }, "")
    assert_refused({ "4294967295x4294967295x4294967295, came 16" }, idx.load(path, 3))
  end)

  it("refuses a header that is cut short", function()
    temporary.write(path, "")
    assert_refused({ "empty" }, idx.load(path, 3))
    temporary.write(path, "\0\0\8")
    assert_refused({ "header of 16 bytes, came 3" }, idx.load(path, 3))
    temporary.write(path, "\0\0\8\3\0\0\0\1")
    assert_refused({ "header of 16 bytes, came 8" }, idx.load(path, 3))
  end)

  it("refuses damaged gzip", function()
    make(0x801, { 300 }, ("abc"):rep(100))
    assert(os.execute("gzip -f " .. path))
    path = path .. ".gz"
    local packed = temporary.read(path)
    temporary.write(path, packed:sub(1, -5))
    assert_refused({ "cut short" }, idx.load(path, 1))
    temporary.write(path, packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4))
    assert_refused({ "data check" }, idx.load(path, 1))
  end)

  it("says when there is no file", function()
    local tensor, message, code = idx.load(path, 3)
    assert.is_nil(tensor)
    assert.is_truthy(message:find(path .. ": No such file", 1, true))
    assert.equal("io", code)
  end)
end)
