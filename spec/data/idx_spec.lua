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
      "expected 0x00000803 (bytes, 3 dimensions), got 0x00000801 (bytes, 1 dimension)",
    }, idx.load(path, 3))
    make(0x803, { 1, 1, 1 }, "a")
    assert_refused({ "expected 0x00000801", "got 0x00000803" }, idx.load(path, 1))
  end)

  it("refuses other contents by their magic number", function()
    make(0xD01, { 1 }, "abcd")
    assert_refused({ "got 0x00000d01 (floats, 1 dimension)" }, idx.load(path, 1))
    temporary.write(path, "\1\2\3\4 and more")
    assert_refused({ "got 0x01020304" }, idx.load(path, 1))
  end)

  it("says what a file is that is no IDX file, packed or not", function()
    for content, part in pairs({
      ["<html>not found</html>"] = "got an HTML page", ["PK\3\4 and more"] = "got a zip archive",
      ["version https://example.org/spec/v1\noid sha256:ab\n"] = "got a Git LFS pointer",
      [("\0"):rep(600)] = "got nothing but zero bytes", [""] = "got an empty file",
    }) do
      temporary.write(path, content)
      assert_refused({ "expected an IDX file, " .. part }, idx.load(path, 3))
      assert(os.execute("gzip -kf " .. path))
      assert(os.rename(path .. ".gz", path))
      assert_refused({ "expected an IDX file, " .. part }, idx.load(path, 3))
    end
  end)

  it("asks about the sizes in the header before there is room for the content", function()
    local function check(sizes) return sizes[1] ~= 3 and ("got %d of %d"):format(sizes[1], sizes[2]) end
    for _, isPacked in ipairs({ false, true }) do
      make(0x802, { 1000000, 1000000 }, "")
      if isPacked then
        assert(os.execute("gzip -kf " .. path))
        assert(os.rename(path .. ".gz", path))
      end
      assert_refused({ "got 1000000 of 1000000" }, idx.load(path, 2, check))
      assert_refused({ "expected 1000000000012 bytes for 1000000x1000000" }, idx.load(path, 2))
    end
    make(0x802, { 3, 1 }, "abc")
    assert.same({ { 97 }, { 98 }, { 99 } }, assert(idx.load(path, 2, check)):totable())
  end)

  it("refuses packed data that is longer or shorter than its header says", function()
    for content, part in pairs({ ["1234567"] = "expected 24 bytes for 2x2x2, got 23",
      ["123456789"] = "unpacks to more than the 24 bytes expected" }) do
      make(0x803, { 2, 2, 2 }, content)
      assert(os.execute("gzip -kf " .. path))
      assert(os.rename(path .. ".gz", path))
      assert_refused({ part }, idx.load(path, 3))
    end
  end)

  it("reads the header of a file in two members, cut anywhere", function()
    local whole = string.pack(">I4I4", 0x801, 3) .. "abc"
    for cut = 1, #whole - 1 do
      local parts = {}
      for i, text in ipairs({ whole:sub(1, cut), whole:sub(cut + 1) }) do
        temporary.write(path, text)
        assert(os.execute("gzip -nf " .. path))
        parts[i] = temporary.read(path .. ".gz")
      end
      temporary.write(path, table.concat(parts) .. ("\0"):rep(600))
      assert.same({ 97, 98, 99 }, assert(idx.load(path, 1)):totable())
    end
  end)

  -- 64 MB of zeros behind a header that promises 600 bytes: what is held grows by less than 4 MB.
  it("unpacks no more of a file than its header promises", function()
    local header = "\\0\\0\\10\\1\\0\\0\\2\\130"
    assert(os.execute(("(printf '%s'; head -c 64000000 /dev/zero) | gzip -c > %s"):format(header, path)))
    local output = temporary.output(([[
      local idx = require "densenet.data.idx"
      local function peak() return tonumber(io.open("/proc/self/status"):read("a"):match("VmHWM:%%s*(%%d+)")) end
      local before = peak()
      print((select(2, idx.load(%q, 1))))
      print(peak() - before)
    ]]):format(path))
    local message, kilobytes = output:match("^(.-)\n(%d+)\n$")
    assert.equal(path .. ": unpacks to more than the 608 bytes expected", message)
    assert.is_true(tonumber(kilobytes) < 4000, output)
  end)

  it("refuses a length that is not what the sizes say", function()
    make(0x803, { 2, 2, 2 }, "1234567")
    assert_refused({ "expected 24 bytes for 2x2x2, got 23" }, idx.load(path, 3))
    make(0x803, { 2, 2, 2 }, "123456789")
    assert_refused({ "expected 24 bytes for 2x2x2, got 25" }, idx.load(path, 3))
    make(0x803, { 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF }, "")
    assert_refused({ "4294967295x4294967295x4294967295, got 16" }, idx.load(path, 3))
  end)

  it("refuses a header that is cut short", function()
    temporary.write(path, "")
    assert_refused({ "empty" }, idx.load(path, 3))
    temporary.write(path, "\0\0\8")
    assert_refused({ "header of 16 bytes, got 3" }, idx.load(path, 3))
    temporary.write(path, "\0\0\8\3\0\0\0\1")
    assert_refused({ "header of 16 bytes, got 8" }, idx.load(path, 3))
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
