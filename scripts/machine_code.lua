--- What a compiled kernel is made of, read from what NVIDIA's tools print, and whether that is what a hot kernel
-- should be made of (check_machine_code.lua).

local machineCode = {}

--- The reports in `ptxas -v`'s output.
-- @param text all that nvcc printed
-- @return by mangled name { registers =, stack =, spills =, shared = }: bytes but for registers; spills are stores and
--   loads together
function machineCode.reports(text)
  local reports, current = {}, nil
  for line in text:gmatch("[^\n]+") do
    local name = line:match("Compiling entry function '([^']+)'")
    if name then
      current = { registers = 0, stack = 0, spills = 0, shared = 0 }
      reports[name] = current
    elseif line:find("Function properties for", 1, true) then
      -- Of functions that a kernel calls there are lines too; they count as its own.
      current = current or { registers = 0, stack = 0, spills = 0, shared = 0 }
    elseif current then
      local stack, stores, loads = line:match(
        "(%d+) bytes stack frame, (%d+) bytes spill stores, (%d+) bytes spill loads")
      if stack then
        current.stack = current.stack + tonumber(stack)
        current.spills = current.spills + tonumber(stores) + tonumber(loads)
      end
      local registers = line:match("Used (%d+) registers")
      if registers then
        current.registers = tonumber(registers)
        current.shared = tonumber(line:match("(%d+) bytes smem") or 0)
      end
    end
  end
  return reports
end

-- Instructions that are counted, by name. A quotient of integers begins with a reciprocal, for which the divisor
-- becomes a float rounded up; nothing else does that.
local COUNTED = {
  loads16 = "%f[%w]LDG[%w%.]*%.128", stores16 = "%f[%w]STG[%w%.]*%.128", loads8 = "%f[%w]LDG[%w%.]*%.64",
  stores8 = "%f[%w]STG[%w%.]*%.64", products = "%f[%w]HMMA%.", divisions = "%f[%w]I2F[%w%.]*%.RP",
  localAccesses = "%f[%w][LS][DT]L[%s%.]", byteLoads = "%f[%w]LDG[%w%.]*%.[US]8%f[%W]",
  sharedLoads = "%f[%w]LDS[%s%.]", matrixLoads = "%f[%w]LDSM%.",
}

--- The instructions of every kernel in `cuobjdump -sass`'s output.
-- @return by mangled name { loads16 =, stores16 =, loads8 =, stores8 =, products =, divisions =, localAccesses =,
--   byteLoads =, sharedLoads =, matrixLoads = }: how many there are
function machineCode.instructions(text)
  local found, current = {}, nil
  for line in text:gmatch("[^\n]+") do
    local name = line:match("Function : (%S+)")
    if name then
      current = {}
      for what in pairs(COUNTED) do current[what] = 0 end
      found[name] = current
    elseif current then
      for what, pattern in pairs(COUNTED) do
        if line:find(pattern) then current[what] = current[what] + 1 end
      end
    end
  end
  return found
end

--- What is wrong with a kernel.
-- @param rule { registers = and shared = at most; loads = and stores = bytes of its widest (16 or 8; none: not asked
--   for); products = true: by tensor cores; divides = true: quotients of integers are allowed }
-- @param report one of reports
-- @param instructions one of instructions, or nil where they are not known
-- @return list of sentences' ends, such as "spills 8 bytes"
function machineCode.faults(rule, report, instructions)
  local faults = {}
  local function check(isFine, format, ...)
    if not isFine then faults[#faults + 1] = format:format(...) end
  end
  check(report.spills == 0, "spills %d bytes", report.spills)
  check(report.stack == 0, "has %d bytes of local arrays", report.stack)
  check(report.registers <= rule.registers, "takes %d registers; %d at most", report.registers, rule.registers)
  check(report.shared <= (rule.shared or 0), "takes %d bytes of shared memory; %d at most", report.shared,
    rule.shared or 0)
  if not instructions then return faults end
  check(instructions.localAccesses == 0, "has %d accesses of local memory", instructions.localAccesses)
  for _, kind in ipairs { "loads", "stores" } do
    local bytes = rule[kind]
    check(not bytes or instructions[kind .. bytes] > 0, "has no %s of %s bytes", kind, bytes)
  end
  check(not rule.products or instructions.products > 0, "has no products by tensor cores (HMMA)")
  check(not rule.products or instructions.byteLoads == 0, "reads %d single bytes", instructions.byteLoads)
  check(rule.divides or instructions.divisions == 0, "has %d quotients of integers", instructions.divisions)
  return faults
end

--- A kernel in a line: what it takes, and where its instructions are known how many there are of those that count.
-- @param name the kernel's
-- @param report one of reports
-- @param instructions one of instructions, or nil
function machineCode.line(name, report, instructions)
  local line = ("%s: %d registers, %d bytes shared, %d spilled"):format(name, report.registers, report.shared,
    report.spills)
  local i = instructions
  if not i then return line end
  return line .. ("; LDG.128 %d, LDG.64 %d, STG.128 %d, STG.64 %d, LDS %d, LDSM %d, HMMA %d, local %d, quotients %d")
    :format(i.loads16, i.loads8, i.stores16, i.stores8, i.sharedLoads, i.matrixLoads, i.products, i.localAccesses,
      i.divisions)
end

--- The first rule whose pattern a kernel's name matches.
-- @param rules list of { pattern, registers = ... }
-- @param name the kernel's, demangled, without its arguments
function machineCode.ruleFor(rules, name)
  for _, rule in ipairs(rules) do
    if name:find(rule[1]) then return rule end
  end
end

return machineCode
