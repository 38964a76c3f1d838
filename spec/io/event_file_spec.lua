-- Event files, read back strictly.
local crc32c = require "densenet.io.crc32c"
local EventFile = require "densenet.io.event_file"
local protobuf = require "densenet.io.protobuf"
local temporary = require "spec.support.temporary"
local eventReader = require "spec.support.event_reader"

describe("CRC-32C", function()
  it("gives the published values", function()
    assert.equal(0xE3069283, crc32c "123456789")
    assert.equal(0, crc32c "")
    assert.equal(0x8A9136AA, crc32c(("\0"):rep(32)))
  end)
end)

describe("protobuf", function()
  it("writes the values of the encoding's description", function()
    assert.equal("\x08\x96\x01", protobuf.integer(1, 150))
    assert.equal("\x12\x07testing", protobuf.bytes(2, "testing"))
    assert.equal("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", protobuf.integer(1, -1))
    assert.equal("\x15\0\0\x80\x3F", protobuf.float(2, 1))
    assert.equal("\x09\0\0\0\0\0\0\xF0\x3F", protobuf.double(1, 1))
  end)
end)

describe("an event file", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function clock() return 1700000000.25 end

  it("has the version, then numbers by tag and step", function()
    local file = assert(EventFile.open(directory .. "/new", nil, clock))
    assert.is_truthy(file.path:find("/new/events%.out%.tfevents%.1700000000%."))
    assert(file:add(3, { { "a/b", 0.5 }, { "c", -1 } }))
    assert(file:add(4, { { "a/b", 0 / 0 } }))
    file:close()
    local events = eventReader.read(file.path)
    assert.equal(3, #events)
    assert.same({ wallTime = 1700000000.25, version = "brain.Event:2", values = {} }, events[1])
    assert.same({ wallTime = 1700000000.25, step = 3, values = { { "a/b", 0.5 }, { "c", -1.0 } } }, events[2])
    assert.equal(4, events[3].step)
    assert.is_true(events[3].values[1][2] ~= events[3].values[1][2])
  end)

  it("that goes on says from which step", function()
    local file = assert(EventFile.open(directory, 12, clock))
    file:close()
    assert.same({ wallTime = 1700000000.25, step = 12, isStart = true, values = {} }, eventReader.read(file.path)[2])
  end)

  it("has a name of its own in the same second", function()
    local names = {}
    for i = 1, 3 do
      local file = assert(EventFile.open(directory, nil, clock))
      names[i] = file.path
      file:close()
    end
    assert.is_true(names[1] < names[2] and names[2] < names[3])
  end)

  it("is refused where the directory is a file, and says when it cannot be written", function()
    temporary.write(directory .. "/file", "x")
    local file, message, code = EventFile.open(directory .. "/file", nil, clock)
    assert.is_nil(file)
    assert.is_truthy(message:find(directory .. "/file", 1, true))
    assert.equal("io", code)
    file = assert(EventFile.open(directory, nil, clock))
    file.file:close()
    file.file = assert(io.open("/dev/full", "wb"))
    local written, why
    written, why, code = file:add(1, { { "a", 1 } })
    assert.is_nil(written)
    assert.is_truthy(why:find("cannot write to " .. file.path .. ": ", 1, true), why)
    assert.equal("io", code)
    file:close()
  end)
end)
