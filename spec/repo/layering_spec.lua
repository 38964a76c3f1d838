-- Who may call whom. The layers of the house stand here once, from the ground up; a file may use
-- its own layer and those below it. Includes and requires are read from the sources.

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function content(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- Files that may include CUDA's headers.
local function is_of_cuda(path) return path:find("^cuda/") or path:find("^spec/support/cuda_emulation/") end

local function sources(pattern)
  return lines_of("find . -path ./build -prune -o -name '" .. pattern .. "' -print | sed 's|^./||' | LC_ALL=C sort")
end

-- C: patterns of file names (without directory), one list per layer, lowest first.
local c_layers = {
  { "^dn_status%.", "^dn_locale%.", "^dn_alloc%.", "^dn_dtype%.", "^dn_shape%.", "^dn_device%.", "^dn_storage%.",
    "^dn_tensor%.", "^dn_account%.", "^dn_shared%.h", "^dn_philox%.h", "^dn_float16%.h", "^dn_threads%.",
    "^dn_report%.", "^dn_stamp%.", "^dn_wide%.h" },
  { "^dn_backend%.h", "^dn_ops%.h", "^dn_ops%.def", "^dn_roles%.h", "^dn_plan%.", "^dn_plan_roles%.h",
    "^dn_element%.h", "^dn_batchnorm%.h", "^dn_fold%.h", "^dn_mlg%.h", "^dn_norm%.h", "^dn_order%.h", "^dn_pool2d%.h",
    "^dn_folded%.h", "^dn_quantize%.h", "^dn_random%.h", "^dn_sgd%.h", "^dn_written%.h", "^dn_graph%.",
    "^dn_loss_scale%.h" },
  { "^cpu_" },
  { "^dn_ops", "^dn_plugin%.", "^dn_devices%." },
  { "^dn_comm%.", "^mpi_" },
  { "^dn_file", "^dn_gzip", "^dn_directory", "^dn_folder", "^dn_mat", "^dn_lock", "^dn_image", "^dn_message",
    "^dn_channel", "^dn_child%.", "^dn_rendezvous", "^dn_svd%.", "^dn%.h" },
  { "^bind" },
}

-- The one way down past the table: allocation asks the backend for memory.
local c_exceptions = { ["dn_alloc.c dn_backend.h"] = true }

local function c_layer(name)
  for layer, patterns in ipairs(c_layers) do
    for _, pattern in ipairs(patterns) do
      if name:find(pattern) then return layer end
    end
  end
end

-- Lua: path prefixes under lua/densenet, one list per layer, lowest first.
local lua_layers = {
  { "argument", "attempt", "capture", "random", "tensor", "constructors", "functions", "device", "dtype_bytes",
    "nearest", "open_list", "one_thread", "row_major", "shallow_copy", "sorted_names" },
  { "io/" },
  { "nn/" },
  { "models/", "optim/", "mlg/", "data/", "image", "dist/" },
  { "train/" },
  { "report/" },
  { "init", "torch7/" },
}

local function lua_layer(path)
  for layer, prefixes in ipairs(lua_layers) do
    for _, prefix in ipairs(prefixes) do
      if path:sub(1, #prefix) == prefix then return layer end
    end
  end
end

describe("the layers", function()
  it("hold for every #include", function()
    local wrong = {}
    for _, path in ipairs(sources("*.[ch]")) do
      local name = path:match("[^/]+$")
      if path:find("^src/") then
        local own = c_layer(name)
        if not own then wrong[#wrong + 1] = path .. ": in no layer" end
        for included in content(path):gmatch('#include "([^"]+)"') do
          local other = included:match("[^/]+$")
          local layer = c_layer(other)
          if not layer then
            wrong[#wrong + 1] = ("%s includes %s, which is in no layer"):format(path, other)
          elseif own and layer > own and not c_exceptions[name .. " " .. other] then
            wrong[#wrong + 1] = ("%s includes %s, which is above it"):format(path, other)
          end
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("keep Lua's headers in src/bind and CUDA's in cuda/", function()
    local wrong = {}
    for _, path in ipairs(sources("*.[ch]")) do
      local text = content(path)
      if text:find("#include%s*[<\"]l[ua][ua][lx]?[a-z]*%.h[>\"]") and
        not (path:find("^src/bind/") or path:find("^spec/support/") or path:find("^examples/")) then
        wrong[#wrong + 1] = path .. " includes Lua's headers"
      end
      if text:find("#include%s*[<\"]cu[^/\">]*%.h[>\"]") and not is_of_cuda(path) then
        wrong[#wrong + 1] = path .. " includes CUDA's headers"
      end
      if text:find("%f[%w]cblas_") and path:find("^src/") and not path:find("cpu_blas_library%.[ch]$") then
        wrong[#wrong + 1] = path .. " names CBLAS's functions; only cpu_blas_library does"
      end
    end
    assert.same({}, wrong)
  end)

  it("keep the backends apart and behind the front door", function()
    local wrong = {}
    for _, path in ipairs(sources("*.[ch]")) do
      local inside = path:find("^src/cpu/")
      for included in content(path):gmatch('#include "([^"]+)"') do
        if included:find("cpu_") and path:find("^src/") and not inside then
          wrong[#wrong + 1] = ("%s includes %s; only the backend itself may"):format(path, included)
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("keep the backend's table from the binding", function()
    local wrong = {}
    for _, path in ipairs(sources("bind_*.[ch]")) do
      if content(path):find("->backend", 1, true) then wrong[#wrong + 1] = path end
    end
    assert.same({}, wrong)
  end)

  it("leave no pattern without a file", function()
    local names, wrong = sources("*.*"), {}
    for _, layer in ipairs(c_layers) do
      for _, pattern in ipairs(layer) do
        local is_used = false
        for _, path in ipairs(names) do
          is_used = is_used or path:find("^src/") and path:match("[^/]+$"):find(pattern) ~= nil
        end
        if not is_used then wrong[#wrong + 1] = pattern end
      end
    end
    assert.same({}, wrong)
  end)

  it("leave cuda/ its own headers and those of src/ that keep nothing", function()
    local allowed = { "dn_backend.h", "dn_batchnorm.h", "dn_device.h", "dn_dtype.h", "dn_element.h",
      "dn_float16.h", "dn_fold.h", "dn_loss_scale.h", "dn_mlg.h", "dn_norm.h", "dn_ops.def", "dn_ops.h",
      "dn_order.h", "dn_philox.h",
      "dn_plan.h", "dn_plan_roles.h", "dn_plugin.h", "dn_pool2d.h", "dn_quantize.h", "dn_random.h",
      "dn_sgd.h", "dn_shape.h", "dn_status.h", "dn_tensor.h" }
    for i = 1, #allowed do allowed[allowed[i]] = true end
    local wrong = {}
    for _, pattern in ipairs { "*.cu", "*.h" } do
      for _, path in ipairs(sources(pattern)) do
        if path:find("^cuda/") then
          for included in content(path):gmatch('#include "([^"]+)"') do
            local shared = included:match("^%.%./src/(.+)$")
            local isNccl = path:find("^cuda/nccl_") -- an object of its own, which cuda.so knows nothing of
            local isOwn = included:find("^cuda_") or isNccl and included:find("^nccl_")
            local isAllowed = allowed[shared] or isNccl and shared == "dn_comm.h"
            if shared and not isAllowed or not shared and not isOwn then
              wrong[#wrong + 1] = path .. " includes " .. included
            end
          end
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("hold for every require", function()
    local wrong = {}
    for _, path in ipairs(sources("*.lua")) do
      local inner = path:match("^lua/densenet/(.+)%.lua$")
      if inner then
        local own = lua_layer(inner)
        if not own then wrong[#wrong + 1] = path .. ": in no layer" end
        for name in content(path):gmatch('require%s*%(?%s*"densenet%.([%w_.]+)"') do
          local layer = name == "core" and 0 or lua_layer(name:gsub("%.", "/") .. "/")
            or lua_layer((name:gsub("%.", "/")))
          if not layer then
            wrong[#wrong + 1] = ("%s requires %s, which is in no layer"):format(path, name)
          elseif own and layer > own then
            wrong[#wrong + 1] = ("%s requires %s, which is above it"):format(path, name)
          end
        end
        if own and own < #lua_layers and content(path):find('require%s*%(?%s*"densenet"') then
          wrong[#wrong + 1] = path .. " requires the whole of densenet"
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("leave the trainer without knowledge of any data set", function()
    local wrong = {}
    for _, path in ipairs(sources("*.lua")) do
      if path:find("^lua/densenet/train/trainer") or path:find("^lua/densenet/nn/") then
        local text = content(path)
        if text:find("mnist", 1, true) or text:find("cifar", 1, true) or text:find("densenet%.data") then
          wrong[#wrong + 1] = path
        end
      end
    end
    assert.same({}, wrong)
  end)
end)

describe("training", function()
  it("knows no family of networks and no data set but the usual ones' names", function()
    local words = { "growthRate", "bottleneck", "dropRate", "[Dd]ense block", "blocks", "depth", "mnist", "cifar" }
    local wrong = {}
    for _, path in ipairs(sources("*.lua")) do
      if path:find("^lua/densenet/train/") then
        local text = content(path):gsub('default = "fashion%-mnist"', "")
        for _, word in ipairs(words) do
          if text:find(word) then wrong[#wrong + 1] = path .. ": " .. word end
        end
      end
    end
    assert.same({}, wrong)
  end)
end)

describe("every source", function()
  it("is one idea of at most 800 lines", function()
    local wrong = {}
    for _, pattern in ipairs { "*.c", "*.h", "*.lua", "*.cu" } do
      for _, path in ipairs(sources(pattern)) do
        local _, n_lines = content(path):gsub("\n", "\n")
        if n_lines > 800 then wrong[#wrong + 1] = ("%s: %d lines"):format(path, n_lines) end
      end
    end
    assert.same({}, wrong)
  end)

  it("is named for what it holds", function()
    local wrong = {}
    for _, path in ipairs(lines_of("git ls-files 2>/dev/null || find src lua scripts spec -type f")) do
      if path:find("utils?%.") or path:find("misc%.") or path:find("helpers?%.") or path:find("common%.") then
        wrong[#wrong + 1] = path
      end
    end
    assert.same({}, wrong)
  end)
end)
