local Log = require "densenet.train.log"
local tablex = require "pl.tablex"
local temporary = require "spec.support.temporary"

local columns = { "loss", "top1" }

describe("the log", function()
  local directory, path

  before_each(function()
    directory = temporary.directory()
    path = directory .. "/log.tsv"
  end)

  after_each(function() temporary.remove(directory) end)

  it("is a header and a row per epoch, tab-separated", function()
    local log = assert(Log.open(path, columns, 1))
    assert(log:add(1, { loss = 0.5, top1 = 12.25 }))
    assert(log:add(2, { loss = 0.25, top1 = 3 }))
    assert.equal("epoch\tloss\ttop1\n1\t0.5\t12.25\n2\t0.25\t3\n", temporary.read(path))
  end)

  it("leaves the field of what was not measured empty, and goes on behind it", function()
    local log = assert(Log.open(path, columns, 1))
    assert(log:add(1, { top1 = 12 }))
    assert(log:add(2, { loss = 0.5 }))
    assert.equal("epoch\tloss\ttop1\n1\t\t12\n2\t0.5\t\n", temporary.read(path))
    log = assert(Log.open(path, columns, 3))
    assert(log:add(3, {}))
    assert.equal("epoch\tloss\ttop1\n1\t\t12\n2\t0.5\t\n3\t\t\n", temporary.read(path))
    assert.is_true(Log.hasRows(path, columns))
    assert.is_false(Log.hasRows(directory .. "/none", columns))
  end)

  it("says nan of a number that is none", function()
    local log = assert(Log.open(path, columns, 1))
    assert(log:add(1, { loss = 0 / 0, top1 = -(0 / 0) }))
    assert.equal("epoch\tloss\ttop1\n1\tnan\tnan\n", temporary.read(path))
  end)

  it("goes on when resumed, without rows of epochs that are to be trained again", function()
    local log = assert(Log.open(path, columns, 1))
    for epoch = 1, 3 do assert(log:add(epoch, { loss = epoch, top1 = epoch })) end
    log = assert(Log.open(path, columns, 3))
    assert.equal("epoch\tloss\ttop1\n1\t1\t1\n2\t2\t2\n", temporary.read(path))
    assert(log:add(3, { loss = 9, top1 = 9 }))
    assert.equal("epoch\tloss\ttop1\n1\t1\t1\n2\t2\t2\n3\t9\t9\n", temporary.read(path))
  end)

  it("has one row for an epoch that is added twice", function()
    local log = assert(Log.open(path, columns, 1))
    assert(log:add(1, { loss = 1, top1 = 1 }))
    assert(log:add(1, { loss = 2, top1 = 2 }))
    assert.equal("epoch\tloss\ttop1\n1\t2\t2\n", temporary.read(path))
  end)

  it("starts anew for a new run", function()
    assert(assert(Log.open(path, columns, 1)):add(1, { loss = 1, top1 = 1 }))
    assert(Log.open(path, columns, 1))
    assert.equal("epoch\tloss\ttop1\n", temporary.read(path))
  end)

  it("goes on in a log that lacks a column", function()
    temporary.write(path, "epoch\ttop1\n1\t12.5\n2\t10\n")
    local log = assert(Log.open(path, columns, 2))
    assert(log:add(2, { loss = 1, top1 = 9 }))
    assert.equal("epoch\tloss\ttop1\n1\t\t12.5\n2\t1\t9\n", temporary.read(path))
  end)

  for name, content in tablex.sort {
    ["another header"] = "epoch\taccuracy\n1\t2\n",
    ["no rows of ours"] = "epoch\tloss\ttop1\nfirst\t2\t3\n",
    ["anything else"] = "dear diary\n",
  } do
    it("refuses a file with " .. name .. " and leaves it alone", function()
      temporary.write(path, content)
      local log, message, code = Log.open(path, columns, 1)
      assert.is_nil(log)
      assert.is_truthy(message:find(path, 1, true))
      assert.equal("format", code)
      assert.equal(content, temporary.read(path))
    end)
  end

  it("says at once that it cannot be written", function()
    local log, message, code = Log.open(directory .. "/missing/log.tsv", columns, 1)
    assert.is_nil(log)
    assert.is_truthy(message:find("missing/log.tsv", 1, true))
    assert.equal("io", code)
  end)

  it("may be a link of one's own to another place", function()
    assert(os.execute(("mkdir %s/disk && ln -s disk/log.tsv %s"):format(directory, path)))
    for _ = 1, 2 do
      local log = assert(Log.open(path, columns, 1))
      assert(log:add(1, { loss = 1, top1 = 2 }))
      assert.equal("epoch\tloss\ttop1\n1\t1\t2\n", temporary.read(directory .. "/disk/log.tsv"))
      assert.is_true(os.execute(("test -L %s"):format(path)))
    end
  end)

  it("is not waited for where it is a pipe", function()
    assert(os.execute("mkfifo " .. path))
    local log, message, code = Log.open(path, columns, 1)
    assert.is_nil(log)
    assert.equal(("cannot write %s: it is a device or a pipe, not a file"):format(path), message)
    assert.equal("io", code)
  end)
end)
