-- Checks what nvcc makes of the hot kernels, without a GPU: no spills, no local arrays, registers and shared memory
-- within limits, loads and stores of 16 bytes, products by tensor cores, no quotients of integers.
--
--   lua5.4 scripts/check_machine_code.lua
--   lua5.4 scripts/check_machine_code.lua -archs 90 -files cuda_norm.cu
--
-- Needs nvcc. The instructions are read by the cuobjdump that CUOBJDUMP in the environment names, nvcc's, or the one on
-- the path, and its nvdisasm; without one the compiler's report alone is checked, and a line says so. Run by
-- `make machine-code`, which takes minutes. Exit status 1 where something is wrong.
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local setup = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local CommandLine = require "densenet.train.command_line"
local machineCode = require "machine_code"
local program = require "densenet.train.program"
local quote = require "shell_quote"

-- By file, what its kernels may take: the first pattern that a name matches; kernels that none matches may not spill.
-- Names are those of C++, such as norm_relu_forward_kernel<float, 4>: the stored type, and elements a packet.
local WIDE = { "<float, 4", "<double, 2", "<cuda_half, 8", "<cuda_bfloat16, 8" }

-- A rule for the instances whose packets have 16 bytes, before that for the others.
local function packets(name, limits, others)
  local rules = {}
  for i, types in ipairs(WIDE) do
    rules[i] = { "^" .. name .. types .. (limits.tail or "") }
    for key, value in pairs(limits) do
      if key ~= "tail" then rules[i][key] = value end
    end
  end
  local rest = { "^" .. name .. "<" }
  for key, value in pairs(others) do rest[key] = value end
  rules[#rules + 1] = rest
  return rules
end

local function join(...)
  local all = {}
  for _, rules in ipairs { ... } do
    for _, rule in ipairs(rules) do all[#all + 1] = rule end
  end
  return all
end

local REDUCED = 256 -- bytes: a double for each warp (cuda_reduce.h)

local HOT = {
  { "cuda_norm.cu", join(
    packets("channel_sums_kernel", { tail = ", true", registers = 64, shared = REDUCED, loads = 16 },
      { registers = 96, shared = REDUCED }),
    packets("deferred_add_kernel", { registers = 48, loads = 16, stores = 16 }, { registers = 64 }),
    -- A few hundred threads, once.
    { { "^channel_stats_kernel", registers = 64 }, { "^norm_table_kernel", registers = 64, divides = true },
      { "^deferred_update_kernel", registers = 64, divides = true } }) },
  { "cuda_norm_relu.cu", join(
    packets("norm_relu_forward_kernel", { registers = 96, loads = 16, stores = 16 }, { registers = 128 }),
    packets("norm_relu_backward_kernel", { tail = ", true", registers = 128, shared = REDUCED, loads = 16,
      stores = 16 }, { registers = 144, shared = REDUCED }),
    packets("norm_relu_pool_pairs_kernel", { registers = 64, loads = 16, stores = 8 }, { registers = 64 }),
    packets("norm_relu_pool_planes_kernel", { tail = ", true", registers = 64, loads = 16 }, { registers = 64 }),
    { { "^norm_relu_pool_kernel", registers = 64 }, { "^norm_relu_backward_join_kernel", registers = 64 } }) },
  { "cuda_batchnorm.cu", join(
    packets("batchnorm_moments_kernel", { tail = ", true", registers = 96, shared = REDUCED, loads = 16 },
      { registers = 128, shared = REDUCED }),
    packets("batchnorm_slopes_kernel", { tail = ", true", registers = 96, shared = REDUCED, loads = 16 },
      { registers = 128, shared = REDUCED }),
    packets("batchnorm_forward_kernel", { tail = ", true", registers = 96, shared = 32, loads = 16, stores = 16 },
      { registers = 128, shared = 32 }),
    packets("batchnorm_inference_forward_kernel", { tail = ", true", registers = 96, shared = 32, loads = 16,
      stores = 16 }, { registers = 128, shared = 32 }),
    packets("batchnorm_backward_kernel", { tail = ", true", registers = 96, shared = 32, loads = 16, stores = 16 },
      { registers = 128, shared = 32 }),
    packets("batchnorm_inference_backward_kernel", { tail = ", true", registers = 96, shared = 32, loads = 16,
      stores = 16 }, { registers = 128, shared = 32 })) },
  { "cuda_dropout.cu", packets("dropout_kernel", { registers = 96, loads = 16, stores = 16 }, { registers = 96 }) },
  { "cuda_relu.cu", { { "^relu_[%w]+_kernel<[%w_]+<float>, 4,", registers = 48, loads = 16, stores = 16 },
    { "^relu_[%w]+_kernel<[%w_]+<cuda_bfloat16>, 8,", registers = 48, loads = 16, stores = 16 },
    { "^relu_[%w]+_kernel<", registers = 64 } } },
  { "cuda_parameters.cu", { { "^weight_narrow_kernel<[%w_]+, 4", registers = 48, loads = 16, stores = 8 },
    { "^images_widen_kernel<[%w_]+, 4", registers = 48, loads = 8, stores = 16 },
    { "^bias_backward_kernel", registers = 64, shared = REDUCED }, { "^", registers = 64 } } },
  -- Fused kernels: products by tensor cores; a few quotients a tile say where its pixels lie.
  { "cuda_norm_relu_conv_1x1.cu", {
    { "^norm_relu_conv_1x1_forward_kernel<[%w_]+, 48", registers = 168, shared = 16, loads = 16, stores = 16,
      products = true, divides = true },
    { "^norm_relu_conv_1x1_forward_kernel<[%w_]+, 64", registers = 208, shared = 16, loads = 16, stores = 16,
      products = true, divides = true } } },
  { "cuda_norm_relu_conv_1x1_backward.cu", {
    -- Four slices of 48 outputs: their sums fill the registers of the one block that a multiprocessor has.
    { "^norm_relu_conv_1x1_backward_kernel<[%w_]+, 1,", registers = 96, loads = 16, products = true, divides = true },
    { "^norm_relu_conv_1x1_backward_kernel<[%w_]+, 4,", registers = 176, loads = 16, products = true, divides = true },
    { "^norm_relu_conv_1x1_backward_kernel<float", registers = 152, loads = 16, stores = 8, products = true,
      divides = true },
    { "^norm_relu_conv_1x1_backward_kernel<", registers = 152, loads = 16, products = true, divides = true } } },
  { "cuda_norm_relu_conv_3x3.cu", { { "^norm_relu_conv_3x3_forward_kernel<", registers = 144, shared = 16, loads = 16,
    stores = 16, products = true, divides = true } } },
  { "cuda_norm_relu_conv_3x3_backward.cu", {
    { "^norm_relu_conv_3x3_backward_kernel<[%w_]+, 48", registers = 252, loads = 16, products = true, divides = true },
    { "^norm_relu_conv_3x3_backward_kernel<[%w_]+, 16", registers = 168, loads = 16, products = true, divides = true },
    { "^norm_relu_conv_3x3_backward_kernel<float, %d+, true", registers = 224, loads = 16, stores = 8, products = true,
      divides = true },
    { "^norm_relu_conv_3x3_backward_kernel<", registers = 224, loads = 16, products = true, divides = true } } },
  { "cuda_transition_forward.cu", {
    { "^transition_forward_kernel<[%w_]+, 64", registers = 168, shared = 16, loads = 16, products = true,
      divides = true },
    -- Sums of 128 outputs, and four times 16 bytes of x on their way.
    { "^transition_forward_kernel<", registers = 255, shared = 16, loads = 16, products = true, divides = true } } },
  { "cuda_transition_backward.cu", {
    { "^transition_backward_kernel<[%w_]+, 4", registers = 168, loads = 16, products = true, divides = true },
    { "^transition_backward_kernel<", registers = 152, loads = 16, products = true, divides = true } } },
  { "cuda_parts.cu", { { "^fused_parts_kernel", registers = 48, shared = 2048 } } },
}

local commandLine = CommandLine.new {
  { title = "Machine code",
    { name = "nvcc", type = "text", default = "nvcc", help = "the compiler; cuobjdump is looked for beside it, too" },
    { name = "cuobjdump", type = "text", shown = "CUOBJDUMP's, nvcc's, or the one on the path",
      help = "prints instructions" },
    { name = "list", type = "flag", help = "print what every kernel is made of, too" },
    { name = "archs", type = "text", default = "80 90", help = "compute capabilities, separated by spaces" },
    { name = "files", type = "text", shown = "all that have hot kernels",
      help = "names in cuda/, separated by spaces" },
    { name = "directory", type = "text", shown = "this checkout's", help = "the sources" },
  },
}

-- All that a command prints, and whether it succeeded.
local function outputOf(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  return text, pipe:close()
end

local function isThere(word) return (select(2, outputOf("command -v " .. quote(word)))) end

local function cuobjdumpOf(opt)
  if opt.cuobjdump then return isThere(opt.cuobjdump) and opt.cuobjdump or nil end
  local path = outputOf("command -v " .. quote(opt.nvcc)):match("^(.*)/[^/\n]*\n")
  local beside = path and path .. "/cuobjdump"
  return beside and isThere(beside) and beside or isThere("cuobjdump") and "cuobjdump" or nil
end

-- A file's name and rules; of one that the table does not have, no rules but those for every kernel.
local function filesOf(opt)
  if not opt.files then return HOT end
  local list = {}
  for name in opt.files:gmatch("%S+") do
    local rules = {}
    for _, file in ipairs(HOT) do
      if file[1] == name then rules = file[2] end
    end
    list[#list + 1] = { name, rules }
  end
  return list
end

-- The compilers run side by side: each prints into a file of its own beside what it makes.
local function compile(opt, jobs, directory)
  local scripts = {}
  for i, job in ipairs(jobs) do
    job.cubin = ("%s/%d.cubin"):format(directory, i)
    scripts[i] = ("%s -std=c++17 -O3 -arch=sm_%s -Xptxas -v -cubin %s -o %s > %s.log 2>&1 || touch %s.failed")
      :format(quote(opt.nvcc), job.arch, quote(job.path), job.cubin, job.cubin, job.cubin)
  end
  local list = directory .. "/commands"
  local file = assert(io.open(list, "w"))
  file:write(table.concat(scripts, "\n"), "\n")
  file:close()
  outputOf(("xargs -P \"$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)\" -d '\\n' -n 1 sh -c < %s"):format(list))
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

-- C++ names without their arguments, by mangled name.
local function demangled(reports, directory)
  local names, path = {}, directory .. "/names"
  local file = assert(io.open(path, "w"))
  for mangled in pairs(reports) do names[#names + 1] = mangled end
  table.sort(names)
  file:write(table.concat(names, "\n"), "\n")
  file:close()
  local plain, i = {}, 0
  for line in outputOf("c++filt -p < " .. path):gmatch("[^\n]+") do
    i = i + 1
    plain[names[i]] = line:gsub("^void ", "")
  end
  return plain
end

local function checkJob(opt, job, directory)
  local printed = read(job.cubin .. ".log") or ""
  if read(job.cubin .. ".failed") or not read(job.cubin) then
    return 0, { ("%s, sm_%s: does not compile:\n%s"):format(job.name, job.arch, printed) }, {}
  end
  local reports = machineCode.reports(printed)
  local instructions = opt.cuobjdump and machineCode.instructions(outputOf(quote(opt.cuobjdump) .. " -sass "
    .. job.cubin)) or {}
  local names, n, faults, lines = demangled(reports, directory), 0, {}, {}
  local anything = { "^", registers = 255, shared = 49152, divides = true }
  local used = {}
  for mangled, report in pairs(reports) do
    local name = names[mangled] or mangled
    local rule = machineCode.ruleFor(job.rules, name) or anything
    used[rule] = true
    n = n + 1
    lines[n] = ("%s, sm_%s: %s"):format(job.name, job.arch, machineCode.line(name, report, instructions[mangled]))
    if opt.cuobjdump and not instructions[mangled] then
      faults[#faults + 1] = ("%s, sm_%s: %s has no instructions in what cuobjdump prints"):format(job.name, job.arch,
        name)
    end
    for _, fault in ipairs(machineCode.faults(rule, report, instructions[mangled])) do
      faults[#faults + 1] = ("%s, sm_%s: %s %s"):format(job.name, job.arch, name, fault)
    end
  end
  for _, rule in ipairs(job.rules) do
    if not used[rule] then
      faults[#faults + 1] = ("%s, sm_%s: no kernel's name matches '%s'"):format(job.name, job.arch, rule[1])
    end
  end
  table.sort(faults)
  table.sort(lines)
  return n, faults, lines
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/check_machine_code.lua [-option value ...]")
  if not opt then return end
  if not isThere(opt.nvcc) then program.refuse(("-nvcc %s: there is no such program"):format(opt.nvcc)) end
  opt.cuobjdump = opt.cuobjdump or os.getenv "CUOBJDUMP"
  local given = opt.cuobjdump
  opt.cuobjdump = cuobjdumpOf(opt)
  if given and not opt.cuobjdump then program.refuse(("-cuobjdump %s: there is no such program"):format(given)) end
  local jobs = {}
  for _, file in ipairs(filesOf(opt)) do
    for arch in opt.archs:gmatch("%S+") do
      jobs[#jobs + 1] = { name = file[1], rules = file[2], arch = arch,
        path = (opt.directory or setup.root .. "/cuda") .. "/" .. file[1] }
    end
  end
  local directory = outputOf("mktemp -d"):match("[^\n]+")
  compile(opt, jobs, directory)
  local n, nFaults = 0, 0
  for _, job in ipairs(jobs) do
    local nOfJob, faults, lines = checkJob(opt, job, directory)
    n = n + nOfJob
    nFaults = nFaults + #faults
    for _, line in ipairs(opt.list and lines or {}) do print(line) end
    for _, fault in ipairs(faults) do print(fault) end
  end
  os.execute("rm -rf " .. quote(directory))
  if not opt.cuobjdump then
    print("instructions were left out: there is no cuobjdump (of the CUDA toolkit, package cuda-cuobjdump; CUOBJDUMP "
      .. "names one)")
  end
  print(("%d kernels of %d compilations checked, %d faults"):format(n, #jobs, nFaults))
  if nFaults > 0 then program.stop(1) end
end

os.exit(program.run("check_machine_code.lua",
  "usage: lua scripts/check_machine_code.lua [-option value ...]      (--help lists the options)", main), true)
