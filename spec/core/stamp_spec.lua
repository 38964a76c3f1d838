-- core.stamp is another one as soon as a tensor may hold other values: whoever wrote them, through whichever view.
local core = require "densenet.core"
local dn = require "densenet"
local operation = require "spec.support.operation"
local temporary = require "spec.support.temporary"

-- Raises unless action() changes the stamp of `tensor`.
local function assert_moves(what, tensor, action)
  local before = core.stamp(tensor)
  action()
  if core.stamp(tensor) == before then error(what .. " leaves the stamp as it was", 2) end
end

describe("core.stamp", function()
  it("stays while tensors are read only", function()
    local a, b = dn.randn(3, 4), dn.randn(4, 2)
    local stamp = core.stamp(a, b, nil)
    local read = { (a * 2):sum(), dn.mm(a, b), a:totable(), a:clone(), a:narrow(1, 1, 2):t(), tostring(a), a[1] }
    assert.equal(7, #read)
    assert.equal(stamp, core.stamp(a, b, nil))
    assert.not_equal(stamp, core.stamp(b, a, nil))
    assert.not_equal(stamp, core.stamp(a, b))
    assert.has.error(function() core.stamp(a, 1) end)
  end)

  it("moves with every tensor that an operation of dn_ops.def writes, and with no other", function()
    local seen = {}
    for _, case in ipairs(operation.families().cases) do
      if not seen[case.op] or seen[case.op] < 3 then
        seen[case.op] = (seen[case.op] or 0) + 1
        local call = operation.build(case, { dtype = case.dtypes and case.dtypes[1] or "float" })
        local before, is_written = {}, {}
        for i, entry in ipairs(call.tensors) do before[i] = core.stamp(entry.tensor) end
        for _, argument in ipairs(operation.descriptions[case.op].arguments) do
          local tensor = call.values[argument.number]
          if (argument.role == "written" or argument.role == "added") and core.is_tensor(tensor)
            and tensor:nElement() > 0 then
            is_written[core.storage_key(tensor)] = true
          end
        end
        operation.call(case, call)
        for i, entry in ipairs(call.tensors) do
          local has_moved = core.stamp(entry.tensor) ~= before[i]
          local what = ("%s, argument %d"):format(operation.title(case), entry.number)
          assert.equal(is_written[core.storage_key(entry.tensor)] or false, has_moved, what)
        end
      end
    end
    for _, op in ipairs((core.operations())) do assert.is_truthy(seen[op], op) end
  end)

  it("moves with writes by way of views, setters and methods of tensors", function()
    local t = dn.randn(6, 4)
    assert_moves("fill", t, function() t:fill(1) end)
    assert_moves("zero", t, function() t:zero() end)
    assert_moves("put", t, function() t:put(1, 2, 3) end)
    assert_moves("t[1][2] =", t, function() t[1][2] = 5 end)
    assert_moves("t[2] =", t, function() t[2] = 5 end)
    assert_moves("a view's fill", t, function() t:narrow(1, 2, 2):select(2, 1):fill(4) end)
    assert_moves("a transposed view's copy", t, function() t:t():copy(dn.randn(4, 6)) end)
    assert_moves("copy from another dtype", t, function() t:copy(dn.randn(6, 4):double()) end)
    assert_moves("uniform", t, function() t:uniform(0, 1) end)
    assert_moves("normal", t, function() t:normal(0, 1) end)
    assert_moves("add", t, function() t:add(1) end)
    assert_moves("mul", t, function() t:mul(2) end)
    assert_moves("core.tensor_at's copy", t, function()
      local bytes = core.storage_view(t, 1, { 24 }, { 1 })
      core.fill(bytes, 7)
    end)
  end)

  it("moves when a tensor becomes another view, or another's", function()
    local t = dn.randn(6, 4)
    assert_moves("resize", t, function() t:resize(4, 6) end)
    assert_moves("a larger resize", t, function() t:resize(40, 6) end)
    assert_moves("tensor_set", t, function() core.tensor_set(t, dn.randn(40, 6)) end)
    assert_moves("free", t, function() t:free() end)
  end)

  it("moves with files and pictures that are read into a tensor, and with decompositions", function()
    local t = dn.zeros(2, 2)
    local directory = temporary.directory()
    local path = directory .. "/bytes"
    temporary.write(path, ("x"):rep(16))
    local file = assert(core.file_open(path))
    assert_moves("file_read_into", t, function() assert(core.file_read_into(file, 0, t)) end)
    core.file_close(file)
    temporary.remove(directory)
    local image, out = dn.randn(3, 4, 4), dn.zeros(3, 4, 4)
    assert_moves("image_flip", out, function() core.image_flip(out, image) end)
    assert_moves("image_crop", out, function() core.image_crop(out, image, 0, 0) end)
    assert_moves("image_resize", out, function() core.image_resize(out, image, "bilinear") end)
    assert_moves("image_rotate", out, function() core.image_rotate(out, image, 1) end)
    local u, s, v = dn.zeros(1, 2, 2):double(), dn.zeros(1, 2):double(), dn.zeros(1, 2, 2):double()
    local stamps = { core.stamp(u), core.stamp(s), core.stamp(v) }
    core.svd(u, s, v, dn.randn(1, 2, 2):double())
    assert.not_equal(stamps[1], core.stamp(u))
    assert.not_equal(stamps[2], core.stamp(s))
    assert.not_equal(stamps[3], core.stamp(v))
  end)
end)

-- Who else has the address of a tensor's bytes: whoever writes there says so (dn_storage_written), or is named here
-- with the reason why nobody can have a stamp of what it writes.
describe("sources that reach a tensor's bytes", function()
  local FINE = {
    ["src/bind/bind_folder.c"] = "reads", ["src/bind/bind_image.c"] = "reads",
    ["src/bind/bind_mask.c"] = "makes what it writes",
    ["src/bind/bind_tensor_values.c"] = "makes what it writes",
    ["src/dn_folder.c"] = "makes what it writes", ["src/dn_gzip.c"] = "makes what it writes",
    ["src/dn_mat.c"] = "makes what it writes", ["src/dn_image_png.c"] = "makes what it writes",
    ["src/dn_image_decode.c"] = "makes what it writes", ["src/dn_image_write.c"] = "makes what it writes",
    ["src/dn_file_write.c"] = "reads", ["src/dn_image_moments.c"] = "reads",
    ["src/dn_ops_check.c"] = "reads",
    ["src/dn_image.c"] = "by dn_image_check", ["src/dn_image_resize.c"] = "by dn_image_check",
    ["src/dn_image_steps.c"] = "by dn_image_check", ["src/mpi/mpi_comm.c"] = "by dn_comm.c",
    ["src/dn_tensor.c"] = "gives addresses", ["src/dn_storage.c"] = "makes storages",
  }

  it("say when they write", function()
    local wrong, found = {}, {}
    local pipe = assert(io.popen("grep -l -e 'dn_tensor_data(' -e 'storage->data' -e 'dn_image_row(' src/*.c "
      .. "src/bind/*.c src/mpi/*.c"))
    for path in pipe:lines() do
      local file = assert(io.open(path))
      local text = file:read "a"
      file:close()
      found[path] = true
      if not FINE[path] and not text:find "dn_storage_written%(" then wrong[#wrong + 1] = path end
    end
    pipe:close()
    assert.same({}, wrong)
    for path in pairs(FINE) do assert.is_true(found[path] or false, path .. " reaches no bytes any more") end
  end)
end)
