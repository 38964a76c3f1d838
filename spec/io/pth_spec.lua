-- PyTorch's weights: golden files that PyTorch wrote, or that were written by hand to do harm
-- (spec/golden/make_pth.py).
local dn = require "densenet"
local core = require "densenet.core"
local names = require "densenet.models.names"
local sameTensors = require "spec.support.same_tensors"
local sorted = require "spec.support.sorted"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden/pth/"
local pth = dn.io.pth
local EXECUTED = "/tmp/pth_was_executed" -- what the harmful ones would leave

local function expectedFile() return assert(dn.safetensors.load(GOLDEN .. "expected.safetensors")) end

-- All of a group's tensors, and no other but counters.
local function checkTensors(tensors, group)
  local expected, count = expectedFile(), 0
  for key, wanted in pairs(expected) do
    local name = key:match("^" .. group .. "/(.*)")
    if name and not name:find "num_batches_tracked" then
      assert.is_nil(sameTensors(wanted, tensors[name]), name)
      count = count + 1
    end
  end
  for name in pairs(tensors) do assert.is_truthy(expected[group .. "/" .. name], name) end
  return count
end

describe("dn.io.pth.load", function()
  local notes = {
    state_dict_zip = false, state_dict_legacy = false, old_names_legacy = false, old_names_v1_cuda_legacy = false,
    old_names_python2_legacy = false, module_prefix_zip = false, protocol4_zip = false,
    nested_zip = "the weights are its entry 'state_dict'",
    nested_model_legacy = "the weights are its entry 'model'; 1 whole numbers beyond 64 bits became floating-point",
    whole_module_legacy = "it is a whole module, torchvision.models.densenet.DenseNet; its parameters were read, and "
      .. "no code",
    whole_module = "it is a whole module, torchvision.models.densenet.DenseNet; its parameters were read, and no code",
  }
  for name, note in sorted(notes) do
    it("reads weights: " .. name, function()
      local tensors, info = assert(pth.load(GOLDEN .. name .. ".pth"))
      assert.equal(56, checkTensors(names.translate(tensors), "state"))
      assert.equal(note or "", table.concat(info.notes, "; "))
      local model = assert(dn.models.load(GOLDEN .. name .. ".pth"))
      local expected = expectedFile()
      assert.is_true((model:forward(expected.input) - expected.logits):abs():max() < 1e-5)
    end)
  end

  for _, name in ipairs { "views_zip", "views_legacy" } do
    it("reads views, and elements of every type: " .. name, function()
      local tensors = assert(pth.load(GOLDEN .. name .. ".pth"))
      assert.equal(16, checkTensors(tensors, "views"))
      assert.equal(core.storage_key(tensors.whole), core.storage_key(tensors.strided))
    end)
  end

  it("reads no more than the weights of a file", function()
    collectgarbage()
    local before = core.memory("cpu").live
    core.memory_limit("cpu", before + 40000) -- the file has 41,588 bytes, of which 36,000 or so are weights
    local tensors = assert(pth.load(GOLDEN .. "nested_zip.pth"))
    assert.is_truthy(next(tensors))
  end)

  local wrong = {
    ["torchscript.pt"] = "it is a TorchScript archive",
    ["evil_os_system_zip.pth"] = "names posix.system, which no weights need; nothing was executed",
    ["evil_os_system_legacy.pth"] = "names posix.system, which no weights need; nothing was executed",
    ["evil_eval_zip.pth"] = "names __builtin__.eval, which no weights need; nothing was executed",
    ["evil_eval_legacy.pth"] = "names __builtin__.eval, which no weights need; nothing was executed",
    ["evil_plain_pickle.pth"] = "names posix.system, which no weights need; nothing was executed",
    ["evil_inst.pth"] = "its pickle has the operation INST, which no weights need; nothing was executed",
    ["truncated_zip.pth"] = "a zip archive without an end: cut short",
    ["truncated_legacy.pth"] = "where 3627 bytes are left: cut short or damaged",
    ["empty.pth"] = "expected weights of PyTorch (.pth), got an empty file",
    ["text.pth"] = "got a Git LFS pointer", ["zip_sizes_lie.pth"] = "would be 2147483648 bytes at byte 37970",
    ["view_beyond_storage.pth"] = "is not inside its storage of 4 elements",
    ["negative_stride.pth"] = "a tensor of size 2 and stride -1",
    ["storage_longer_than_entry.pth"] = "would have 400 elements of 4 bytes, and there are 16 bytes",
    ["missing_storage.pth"] = "there is no entry data/9", ["path_in_key.pth"] = "there is no entry data/../0",
    ["pickle_stack_underflow.pth"] = "nothing to take from the stack",
    ["pickle_memo_missing.pth"] = "memo 5, which is not there", ["pickle_no_stop.pth"] = "it ends without STOP",
    ["pickle_deep.pth"] = "no tensors by name are in it, but a list",
    ["pickle_huge_long.pth"] = "a text of 2147483647 bytes at byte 47, where 2 bytes are left",
  }
  it("knows all golden files", function()
    local count = 0
    for _, name in ipairs(assert(core.directory_list(GOLDEN))) do
      local stem = name:match "(.*)%.pth$"
      if not name:find "^expected" then
        local isRead = notes[stem] ~= nil or name:find "^views" ~= nil or stem == "hand_written_ok"
        assert.is_true(isRead or wrong[name] ~= nil, name)
        count = count + 1
      end
    end
    assert.equal(36, count)
  end)
  for name, part in sorted(wrong) do
    it("refuses in a sentence: " .. name, function()
      os.remove(EXECUTED)
      local tensors, message, code = pth.load(GOLDEN .. name)
      assert.is_nil(tensors)
      assert.equal("format", code)
      assert.is_truthy(message:find(GOLDEN .. name .. ": ", 1, true), message)
      assert.is_truthy(message:find(part, 1, true), message)
      assert.is_nil(io.open(EXECUTED))
    end)
  end

  it("reads what was written by hand", function()
    assert.same({ { 0, 0 }, { 0, 0 } }, assert(pth.load(GOLDEN .. "hand_written_ok.pth")).w:totable())
  end)

  describe("of a pickle", function()
    local directory
    before_each(function() directory = temporary.directory() end)
    after_each(function() temporary.remove(directory) end)

    -- A stored zip archive with these entries.
    local function zip(entries)
      local parts, central, at = {}, {}, 0
      for _, entry in ipairs(entries) do
        local name, content = "a/" .. entry[1], entry[2]
        local sizes = string.pack("<I4I4I4I2I2", 0, #content, #content, #name, 0)
        parts[#parts + 1] = "PK\3\4" .. string.pack("<I2I2I2I2I2", 20, 0, entry[3] or 0, 0, 0) .. sizes .. name
          .. content
        central[#central + 1] = "PK\1\2" .. string.pack("<I2I2I2I2I2I2", 20, 20, 0, entry[3] or 0, 0, 0) .. sizes
          .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, at) .. name
        at = at + #parts[#parts]
      end
      local text = table.concat(central)
      return table.concat(parts) .. text
        .. "PK\5\6" .. string.pack("<I2I2I2I2I4I4I2", 0, 0, #entries, #entries, #text, at, 0)
    end
    local function load(pickle, method)
      return pth.load(temporary.write(directory .. "/x.pth", zip { { "data.pkl", pickle, method },
        { "data/0", string.pack("<ffff", 1, 2, 3, 4) }, { "byteorder", "little" } }))
    end
    local STORAGE = "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" .. "0X\3\0\0\0cpuK\4tQ"
    local TENSOR = "ctorch._utils\n_rebuild_tensor_v2\n(" .. STORAGE .. "K\0K\2K\2\x86K\2K\1\x86\x89N tR"
    TENSOR = TENSOR:gsub(" ", "")

    it("reads objects of any class as tables, and modules in them", function()
      local module = "c__main__\nNet\n)\x81}(X\x0b\0\0\0_parameters}X\1\0\0\0w" .. TENSOR .. "sX\8\0\0\0_modules}ub"
      local tensors, info = load("\x80\2" .. module .. ".")
      assert.same({ { 1, 2 }, { 3, 4 } }, assert(tensors, info).w:totable())
      assert.is_truthy(info.notes[1]:find("__main__.Net", 1, true))
    end)

    it("refuses functions, wherever their calls stand", function()
      for _, name in ipairs { "os\nsystem", "builtins\ngetattr", "torch.hub\nload", "importlib\nimport_module",
        "torch.nn.functional\nrelu" } do
        local tensors, message = load("\x80\2}X\1\0\0\0wc" .. name .. "\nX\1\0\0\0x\x85Rs.")
        assert.is_nil(tensors)
        assert.is_truthy(message:find("names " .. name:gsub("\n", ".") .. ", which no weights need", 1, true), message)
      end
    end)

    it("refuses operations that no weights need, and unknown ones", function()
      for code, part in pairs { ["\x92"] = "NEWOBJ_EX", ["\x82"] = "EXT1", ["o"] = "OBJ", ["P"] = "PERSID",
        ["\xff"] = "there is no operation 255" } do
        local _, message = load("\x80\2" .. code .. "\n.")
        assert.is_truthy(message:find(part, 1, true), message)
      end
      assert.is_truthy(select(2, load "\x80\9."):find("of protocol 9", 1, true))
    end)

    it("refuses packed entries, and modules without end", function()
      assert.is_truthy(select(2, load("\x80\2}.", 8)):find('entry "a/data.pkl" is compressed', 1, true))
      local circle = "c__main__\nNet\n)\x81q\1}(X\x0b\0\0\0_parameters}X\8\0\0\0_modules}X\1\0\0\0mh\1sub."
      assert.is_truthy(select(2, load("\x80\2" .. circle)):find("nested more than 60 deep", 1, true))
      local wide = "c__main__\nNet\n)\x81}(X\x0b\0\0\0_parameters}X\8\0\0\0_modules}ub"
      for _ = 1, 30 do -- 2^30 modules by way of 30
        wide = wide .. "q\1c__main__\nNet\n)\x81}(X\x0b\0\0\0_parameters}X\8\0\0\0_modules}"
          .. "(X\1\0\0\0ah\1X\1\0\0\0bh\1uub"
      end
      assert.is_truthy(select(2, load("\x80\2" .. wide .. ".")):find("more than 100000 modules", 1, true))
    end)

    it("reads zip64 archives", function()
      local content = zip { { "data.pkl", "\x80\2}X\1\0\0\0w" .. TENSOR .. "s." },
        { "data/0", string.pack("<ffff", 1, 2, 3, 4) } }
      local at = content:find("PK\5\6", 1, true)
      local n, size, first = string.unpack("<I2I4I4", content, at + 10)
      local large = content:sub(1, at - 1)
        .. "PK\6\6" .. string.pack("<i8I2I2I4I4i8i8i8i8", 44, 45, 45, 0, 0, n, n, size, first)
        .. "PK\6\7" .. string.pack("<I4i8I4", 0, at - 1, 1)
        .. "PK\5\6" .. string.pack("<I2I2I2I2I4I4I2", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
      local tensors, message = pth.load(temporary.write(directory .. "/large.pth", large))
      assert.same({ { 1, 2 }, { 3, 4 } }, assert(tensors, message).w:totable())
    end)
  end)
end)
