-- Files: what is read is what is there, and what is written is whole or was never written.
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local function bytes_of(text)
  local list = { text:byte(1, -1) }
  return core.tensor_from("cpu", "byte", list)
end

local function text_of(tensor)
  return string.char(table.unpack(tensor:totable()))
end

-- The three values of a failure of the outside world, the message holding every given part.
local function assert_fails(code, parts, result, message, got)
  assert.is_nil(result)
  assert.equal(code, got)
  for _, part in ipairs(parts) do
    assert.is_truthy(message:find(part, 1, true), ("%q is missing in: %s"):format(part, message))
  end
end

describe("files", function()
  local directory, path

  before_each(function()
    directory = temporary.directory()
    path = directory .. "/file"
  end)

  after_each(function() temporary.remove(directory) end)

  describe("reading", function()
    it("gives the whole or a part", function()
      temporary.write(path, "0123456789")
      assert.equal("0123456789", core.file_read(path))
      assert.equal("3456789", core.file_read(path, 3))
      assert.equal("345", core.file_read(path, 3, 3))
      assert.equal("", core.file_read(path, 10, 0))
      assert.equal("", core.file_read(path, 99))
      assert.equal(10, core.file_size(path))
    end)

    it("of an empty file gives an empty string", function()
      temporary.write(path, "")
      assert.equal("", core.file_read(path))
      assert.equal(0, core.file_size(path))
    end)

    it("beyond the end says how long the file is and what was asked for", function()
      temporary.write(path, "0123456789")
      assert_fails("format", { path, "10 bytes", "5 bytes from byte 6" }, core.file_read(path, 6, 5))
      assert_fails("format", { path }, core.file_read(path, 0, math.maxinteger))
      assert_fails("format", { path }, core.file_read(path, math.maxinteger, math.maxinteger))
    end)

    it("of what is no file says why", function()
      assert_fails("io", { path, "No such file" }, core.file_read(path))
      assert_fails("io", { path, "No such file" }, core.file_size(path))
      assert_fails("io", { directory, "a directory" }, core.file_read(directory))
      assert_fails("io", { "/dev/null", "device" }, core.file_read("/dev/null"))
    end)

    -- A file of the system that says 4096 bytes and has fewer, and one whose reading fails.
    local short, failing = "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/class/net/lo/speed"

    it("of a file that ends while it is read says so", function()
      if not core.file_exists(short) then return pending("no " .. short .. " here") end
      assert_fails("format", { short, "expected 4096 bytes from byte 0" }, core.file_read(short))
      local tensor = core.tensor_new("cpu", "byte", { 4096 })
      assert_fails("format", { short, "expected 4096 bytes from byte 0" }, core.file_read_into(short, 0, tensor))
    end)

    it("that fails gives the system's reason", function()
      if not core.file_exists(failing) then return pending("no " .. failing .. " here") end
      local reason = "cannot read " .. failing .. ": Invalid argument"
      assert_fails("io", { reason }, core.file_read(failing))
      assert_fails("io", { reason }, core.file_read_into(failing, 0, core.tensor_new("cpu", "byte", { 1 })))
      assert_fails("io", { reason }, core.file_gunzip(failing))
      assert_fails("io", { reason }, core.file_gunzip_start(failing, 1))
    end)

    it("does not wait for a pipe", function()
      assert(os.execute("mkfifo " .. path))
      assert_fails("io", { path, "pipe" }, core.file_read(path))
    end)

    it("goes on in a file that stays open when another one takes its name", function()
      temporary.write(path, "the first")
      local file <close> = assert(core.file_open(path))
      temporary.write(path .. "2", "another file")
      assert(os.rename(path .. "2", path))
      assert.equal(9, core.file_size(file))
      assert.equal("the", core.file_read(file, 0, 3))
      local tensor = core.tensor_new("cpu", "byte", { 5 })
      assert.is_true(core.file_read_into(file, 4, tensor))
      assert.equal("first", text_of(tensor))
      assert.equal("another file", core.file_read(path))
      core.file_close(file)
      core.file_close(file)
      assert.error_matches(function() core.file_read(file) end, "bad argument #1.*the file has been closed")
      assert.error_matches(function() core.file_read(io.stdout) end, "bad argument #1")
    end)

    it("leaves no file open, whether it succeeds, fails or raises", function()
      local function n_open() return #core.directory_list("/proc/self/fd") end
      if not core.file_exists("/proc/self/fd") then return pending("no /proc/self/fd here") end
      temporary.write(path, "0123456789")
      collectgarbage() -- closes what other tests have dropped
      collectgarbage()
      local tensor, before = bytes_of("abc"), n_open()
      core.file_size(path)
      core.file_read(path)
      core.file_read(path, 11, 1)
      core.file_read_into(path, 0, tensor)
      core.file_read_into(path, 9, tensor)
      core.file_gunzip(path)
      core.file_gunzip_start(path, 1)
      pcall(core.file_read_into, path, 0, core.tensor_new("cpu", "byte", { 2, 2 }):t())
      assert.equal(before, n_open())
      do
        local file = core.file_open(path)
        assert.equal(before + 1, n_open())
        assert.equal(10, core.file_size(file))
      end
      collectgarbage()
      assert.equal(before, n_open())
    end)

    it("raises for wrong arguments", function()
      assert.error_matches(function() core.file_read("a\0b") end, "bad argument #1.*zero byte")
      assert.error_matches(function() core.file_read(path, -1) end, "bad argument #2")
      assert.error_matches(function() core.file_read(path, 0, -1) end, "bad argument #3")
      assert.error_matches(function() core.file_read() end, "bad argument #1")
    end)

    it("fills a tensor", function()
      temporary.write(path, "xx" .. string.pack("<fff", 1, -2, 0.5))
      local tensor = core.tensor_new("cpu", "float", { 3 })
      assert.is_true(core.file_read_into(path, 2, tensor))
      assert.same({ 1, -2, 0.5 }, tensor:totable())
      local part = tensor:narrow(1, 2, 1)
      assert.is_true(core.file_read_into(path, 2, part))
      assert.same({ 1, 1, 0.5 }, tensor:totable())
    end)

    it("leaves a tensor that the file cannot fill", function()
      temporary.write(path, "12345")
      local tensor = bytes_of("abcdef")
      assert_fails("format", { path, "5 bytes" }, core.file_read_into(path, 0, tensor))
      assert.equal("abcdef", text_of(tensor))
      assert_fails("io", { "No such file" }, core.file_read_into(path .. "x", 0, tensor))
    end)

    it("takes contiguous tensors only", function()
      temporary.write(path, ("x"):rep(100))
      local matrix = core.tensor_new("cpu", "byte", { 4, 4 })
      assert.error_matches(function() core.file_read_into(path, 0, matrix:narrow(2, 1, 2)) end, "contiguous")
      assert.error_matches(function() core.file_read_into(path, -1, matrix) end, "bad argument #2")
    end)
  end)

  describe("writing", function()
    it("puts the tensors behind the header, row-major and little-endian", function()
      local long = core.tensor_from("cpu", "long", { 1, -2 })
      local double = core.tensor_from("cpu", "double", 0.1)
      assert.is_true(core.file_write(path, "head", { long, double }))
      assert.equal("head" .. string.pack("<i8i8d", 1, -2, 0.1), temporary.read(path))
    end)

    it("takes views of any strides", function()
      local matrix = core.tensor_from("cpu", "byte", { { 1, 2, 3 }, { 4, 5, 6 } })
      local row = core.tensor_from("cpu", "byte", { { 7, 8, 9 } })
      assert.is_true(core.file_write(path, "", {
        matrix:t(), matrix:narrow(2, 2, 2), matrix:select(2, 1), row:expand(2, 3), matrix:narrow(1, 1, 0),
      }))
      assert.equal("\1\4\2\5\3\6" .. "\2\3\5\6" .. "\1\4" .. "\7\8\9\7\8\9", temporary.read(path))
    end)

    it("gathers more than a buffer of a view", function()
      local rows, columns = 300, 211
      local matrix = core.tensor_new("cpu", "long", { rows, columns })
      for i = 1, rows do
        for j = 1, columns do matrix:put(i * 1000 + j, i, j) end
      end
      assert.is_true(core.file_write(path, "", { matrix:t() }))
      local back = core.tensor_new("cpu", "long", { columns, rows })
      assert.is_true(core.file_read_into(path, 0, back))
      assert.same(matrix:t():totable(), back:totable())
    end)

    it("replaces what stood there and leaves nothing beside it", function()
      temporary.write(path, "a longer old content")
      temporary.write(path .. ".tmp", "left by a process that was killed")
      assert.is_true(core.file_write(path, "new", {}))
      assert.equal("new", temporary.read(path))
      assert.same({ "file" }, core.directory_list(directory))
    end)

    it("says where it cannot write", function()
      assert_fails("io", { "/nowhere/file", "No such file" }, core.file_write(directory .. "/nowhere/file", "x", {}))
      assert(core.directory_make(path .. "/inside"))
      assert_fails("io", { path }, core.file_write(path, "x", {}))
      assert.same({ "file" }, core.directory_list(directory))
      local long_name = directory .. "/" .. ("n"):rep(5000)
      assert_fails("io", { "too long" }, core.file_write(long_name, "x", {}))
    end)

    it("makes its temporary file anew, whatever stands under that name", function()
      local victim = temporary.write(directory .. "/victim", "precious")
      for _, command in ipairs({ "mkfifo", "ln victim", "ln -s victim", "ln -s nowhere" }) do
        assert(os.execute(("cd %s && %s file.tmp"):format(directory, command)))
        assert.is_true(core.file_write(path, "new", {}))
        assert.equal("new", temporary.read(path))
        assert.equal("precious", temporary.read(victim))
        assert.same({ "file", "victim" }, core.directory_list(directory))
        assert(os.remove(path))
      end
      assert(core.directory_make(path .. ".tmp"))
      assert_fails("io", { "cannot remove " .. path .. ".tmp: Is a directory" }, core.file_write(path, "new", {}))
    end)

    it("replaces a link and does not follow it", function()
      temporary.write(path .. "2", "old")
      assert(os.execute(("ln -s file2 %s"):format(path)))
      assert.is_true(core.file_write(path, "new", {}))
      assert.equal("new", temporary.read(path))
      assert.equal("old", temporary.read(path .. "2"))
    end)

    it("puts no file in the place of a pipe, a device or a directory, linked or not", function()
      assert(os.execute("mkfifo " .. path))
      assert_fails("io", { "cannot write " .. path .. ": it is a device or a pipe" }, core.file_write(path, "x", {}))
      assert(os.remove(path))
      assert(os.execute("ln -s /dev/null " .. path))
      assert_fails("io", { "cannot write " .. path .. ": it is a device or a pipe" }, core.file_write(path, "x", {}))
      assert(os.remove(path))
      assert_fails("io", { directory .. ": it is a directory" }, core.file_write(directory, "x", {}))
    end)

    it("raises for what is no tensor, and for a freed one", function()
      assert.error_matches(function() core.file_write(path, "x", { 1 }) end, "bad argument #3.*tensor expected at 1")
      local freed = bytes_of("x")
      freed:free()
      assert.error_matches(function() core.file_write(path, "x", { freed }) end, "freed")
      assert.is_false(core.file_exists(path))
    end)

    -- Another process writes 64 KiB where the system lets it write only some.
    local function write_with_limit(prelude)
      local script = temporary.write(directory .. "/script.lua", ([[
        package.path, package.cpath = %q, %q
        local core = require "densenet.core"
        print(core.file_write(%q, ("new"):rep(1 << 16), { core.tensor_new("cpu", "byte", { 1 << 16 }) }))
      ]]):format(package.path, package.cpath, path))
      local pipe = assert(io.popen(("sh -c '%s ulimit -f 40; exec %s %s' 2>&1"):format(
        prelude, temporary.interpreter(), script)))
      local output = pipe:read("a")
      pipe:close()
      assert(os.remove(script))
      return output
    end

    it("that fails half-way leaves the old file whole and nothing else", function()
      temporary.write(path, "old")
      local output = write_with_limit('trap "" XFSZ;')
      assert.is_truthy(output:find("nil.*cannot write " .. path .. ": File too large.*io"), output)
      assert.equal("old", temporary.read(path))
      assert.same({ "file" }, core.directory_list(directory))
    end)

    it("that is killed half-way leaves the old file whole", function()
      temporary.write(path, "old")
      local output = write_with_limit("")
      assert.is_nil(output:find("true", 1, true), output)
      assert.equal("old", temporary.read(path))
      assert.same({ "file", "file.tmp" }, core.directory_list(directory))
      assert.is_true(core.file_write(path, "new", {}))
      assert.same({ "file" }, core.directory_list(directory))
    end)
  end)

  describe("the target of a path", function()
    local function link(to, name) assert(os.execute(("ln -s %s %s/%s"):format(to, directory, name))) end

    it("is the path itself, or what links of one's own lead to", function()
      assert.equal(path, core.file_target(path))
      temporary.write(path, "x")
      assert.equal(path, core.file_target(path))
      assert(core.directory_make(directory .. "/sub"))
      link("../file", "sub/relative")
      link("sub/relative", "two_steps")
      link(path, "absolute")
      link("nowhere", "broken")
      assert.equal(directory .. "/sub/../file", core.file_target(directory .. "/sub/relative"))
      assert.equal(directory .. "/sub/../file", core.file_target(directory .. "/two_steps"))
      assert.equal(path, core.file_target(directory .. "/absolute"))
      assert.equal(directory .. "/nowhere", core.file_target(directory .. "/broken"))
    end)

    it("is refused for a circle, and for a name or a link that is too long", function()
      link("b", "a")
      link("a", "b")
      assert_fails("io", { directory .. "/a: Too many levels of symbolic links" }, core.file_target(directory .. "/a"))
      assert_fails("io", { "too long" }, core.file_target(("x"):rep(5000)))
      assert(os.execute(("ln -s %s %s/long"):format(("y/"):rep(2040) .. "z", directory)))
      assert_fails("io", { "follow the link", "too long" }, core.file_target(directory .. "/long"))
    end)

    it("is refused for a device, a pipe and a directory, linked or not", function()
      assert(os.execute("mkfifo " .. path))
      link("file", "to_pipe")
      link("/dev/null", "to_device")
      link(".", "to_directory")
      for name, kind in pairs({ file = "a device or a pipe", to_pipe = "a device or a pipe",
        to_device = "a device or a pipe", to_directory = "a directory" }) do
        assert_fails("io", { ("cannot write %s/%s: it is %s, not a file"):format(directory, name, kind) },
          core.file_target(directory .. "/" .. name))
      end
    end)

    it("is refused for another user's link", function()
      link("file", "own")
      link("own", "first")
      -- Only the superuser can give a file away.
      if not os.execute(("chown -h 1 %s/own 2> %s/refusal"):format(directory, directory)) then
        return pending("only the superuser can give a file away")
      end
      assert_fails("io", { directory .. "/own: it is another user's symbolic link" },
        core.file_target(directory .. "/own"))
      assert_fails("io", { directory .. "/first: what it points to is another user's" },
        core.file_target(directory .. "/first"))
    end)
  end)

  it("removes, or says why not", function()
    temporary.write(path, "x")
    assert.is_true(core.file_exists(path))
    assert.is_true(core.file_remove(path))
    assert.is_false(core.file_exists(path))
    assert_fails("io", { path, "No such file" }, core.file_remove(path))
  end)

  describe("directories", function()
    it("are made with their parents, and once is enough", function()
      local deep = directory .. "/a/b//c/"
      assert.is_true(core.directory_make(deep))
      assert.is_true(core.directory_make(deep))
      assert.same({ "b" }, core.directory_list(directory .. "/a"))
      assert.same({}, core.directory_list(deep))
      assert.is_true(core.file_exists(deep))
    end)

    it("are listed by the bytes of their names", function()
      for _, name in ipairs({ "b", "B", "a10", "a9", ".hidden", "\xc3\xa9" }) do
        temporary.write(directory .. "/" .. name, "")
      end
      assert.same({ ".hidden", "B", "a10", "a9", "b", "\xc3\xa9" }, core.directory_list(directory))
    end)

    it("say what stands in their way", function()
      temporary.write(path, "x")
      assert_fails("io", { path, "Not a directory" }, core.directory_make(path))
      assert_fails("io", { path .. "/sub", "Not a directory" }, core.directory_make(path .. "/sub"))
      assert_fails("io", { "No such file" }, core.directory_make(""))
      assert_fails("io", { path, "Not a directory" }, core.directory_list(path))
      assert_fails("io", { path .. "2", "No such file" }, core.directory_list(path .. "2"))
    end)
  end)

  describe("gzip", function()
    local content

    before_each(function()
      local parts = {}
      for i = 1, 5000 do parts[i] = tostring(i * i % 9973) end
      content = table.concat(parts, " ")
    end)

    -- `text` packed by gzip.
    local function pack(text)
      temporary.write(path, text)
      assert(os.execute("gzip -nf " .. path))
      return temporary.read(path .. ".gz")
    end

    local function unpack(packed, limit)
      return core.file_gunzip(temporary.write(path, packed), limit)
    end

    local function assert_unpacks(expected, packed)
      local tensor = assert(unpack(packed))
      assert.equal("byte", tensor:dtype())
      assert.same({ #expected }, tensor:size())
      assert.is_true(core.file_write(path, "", { tensor }))
      assert.equal(expected, temporary.read(path))
    end

    it("is unpacked", function()
      assert_unpacks(content, pack(content))
      assert_unpacks("", pack(""))
      assert_unpacks("x", pack("x"))
    end)

    it("may have several members, whose sizes the last one does not tell", function()
      assert_unpacks(content .. "and" .. content, pack(content) .. pack("and") .. pack(content))
    end)

    it("cut short anywhere is refused", function()
      local packed = pack(content)
      for length = 2, #packed - 1, 97 do
        assert_fails("format", { path, "cut short" }, unpack(packed:sub(1, length)))
      end
      assert_fails("format", { path, "cut short" }, unpack(packed:sub(1, -2)))
      assert_fails("format", { path, "empty" }, unpack(""))
      assert_fails("format", { path, "not a gzip file", "1f 00" }, unpack("\x1f"))
    end)

    it("with any damaged byte behind its header is refused", function()
      local packed = pack(content)
      for position = 11, #packed, 131 do
        local flipped = string.char(packed:byte(position) ~ 0x10)
        assert_fails("format", { path }, unpack(packed:sub(1, position - 1) .. flipped .. packed:sub(position + 1)))
      end
      assert_fails("format", { "incorrect length check" }, unpack(packed:sub(1, -2) .. "\x7f"))
      assert_fails("format", { "incorrect data check" }, unpack(packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4)))
    end)

    it("may be padded with zero bytes, and with nothing else", function()
      for _, count in ipairs({ 1, 18, 512, 1 << 17 }) do
        assert_unpacks(content, pack(content) .. ("\0"):rep(count))
        assert_unpacks(content .. "and", pack(content) .. pack("and") .. ("\0"):rep(count))
      end
      assert_fails("format", { path, "1 bytes of something else" }, unpack(pack(content) .. ("\0"):rep(1 << 17) .. "x"))
      assert_fails("format", { path, "of something else" }, unpack(pack(content) .. "\0" .. pack("and")))
    end)

    it("shows its start, without a look at the rest", function()
      local packed = temporary.write(path, pack(content) .. pack("and"))
      assert.equal(content:sub(1, 10), core.file_gunzip_start(packed, 10))
      assert.equal("", core.file_gunzip_start(packed, 0))
      assert.equal(content .. "and", core.file_gunzip_start(packed, 1 << 16))
      assert.equal(content .. "an", core.file_gunzip_start(packed, #content + 2))
      temporary.write(path, pack(content):sub(1, -100))
      assert.equal(content:sub(1, 10), core.file_gunzip_start(path, 10))
      assert_fails("format", { path, "cut short" }, core.file_gunzip_start(path, 1 << 16))
      assert_fails("format", { path, "not a gzip file" },
        core.file_gunzip_start(temporary.write(path, "plain text of enough bytes"), 10))
      assert.error_matches(function() core.file_gunzip_start(path, -1) end, "bad argument #2")
    end)

    it("followed by something else is refused", function()
      assert_fails("format", { path, "9 bytes of something else" }, unpack(pack(content) .. "more text"))
    end)

    it("is not unpacked beyond the limit", function()
      local packed = pack(content)
      assert.is_truthy(unpack(packed, #content))
      assert_fails("format", { path, ("more than the %d bytes"):format(#content - 1) }, unpack(packed, #content - 1))
      assert_fails("format", { path, "more than the 0 bytes" }, unpack(packed, 0))
    end)

    it("is recognised by its content", function()
      assert_fails("format", { path, "not a gzip file", "70 6c" }, unpack("plain text, and enough of it"))
      assert_fails("io", { "No such file" }, core.file_gunzip(path .. "x"))
    end)

    it("that finds no memory raises and holds none", function()
      local packed = pack(content)
      collectgarbage() -- a call that finds no memory collects and tries again: leave it nothing to find
      collectgarbage()
      local before = core.memory("cpu").blocks
      core.memory_limit("cpu", core.memory("cpu").live + 1000)
      assert.error_matches(function() unpack(packed) end, "out of memory")
      core.memory_limit("cpu", 0)
      collectgarbage()
      assert.equal(before, core.memory("cpu").blocks)
    end)
  end)
end)
