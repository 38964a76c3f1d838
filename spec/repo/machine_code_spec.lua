-- What the check of the hot kernels' machine code notices (scripts/machine_code.lua): in texts as NVIDIA's tools print
-- them, and, where nvcc is, in kernels that are bad on purpose.

local temporary = require "spec.support.temporary"

package.path = "scripts/?.lua;" .. package.path
local machineCode = require "machine_code"

local REPORT = [[
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z4goodPf' for 'sm_90'
ptxas info    : Function properties for _Z4goodPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers, 256 bytes smem
ptxas info    : Compile time = 1.000 ms
ptxas info    : Compiling entry function '_Z3badPf' for 'sm_90'
ptxas info    : Function properties for _Z3badPf
    48 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 200 registers, used 0 barriers
]]

local INSTRUCTIONS = [[
	code for sm_90
		Function : _Z4goodPf
        /*0060*/                   LDG.E.128 R12, desc[UR6][R12.64] ;               /* 0x000000060c0c7981 */
        /*0068*/                   LDS.128 R8, [R2] ;
        /*006c*/                   LDSM.16.MT88.2 R10, [R3] ;
        /*0070*/                   HMMA.1688.F32.TF32 R4, R8, R10, R4 ;
        /*0080*/                   STG.E.128 desc[UR6][R34.64], R12 ;
        /*0090*/                   MUFU.RCP R3, R3 ;
		Function : _Z3badPf
        /*0060*/                   LDG.E R12, desc[UR6][R12.64] ;
        /*0064*/                   LDG.E.U8 R12, desc[UR6][R12.64+0x1] ;
        /*0070*/                   I2F.U32.RP R3, R2 ;
        /*0080*/                   STL [R1], R4 ;
        /*0090*/                   LDL.64 R4, [R1+0x8] ;
        /*00a0*/                   STG.E.64 desc[UR6][R34.64], R12 ;
]]

describe("a kernel's machine code", function()
  local reports, instructions = machineCode.reports(REPORT), machineCode.instructions(INSTRUCTIONS)
  local rule = { "^good<", registers = 64, shared = 256, loads = 16, stores = 16, products = true }

  it("is read from what the tools print", function()
    assert.same({ registers = 30, stack = 0, spills = 0, shared = 256 }, reports._Z4goodPf)
    assert.same({ registers = 200, stack = 48, spills = 20, shared = 0 }, reports._Z3badPf)
    assert.same({ loads16 = 1, stores16 = 1, loads8 = 0, stores8 = 0, products = 1, divisions = 0, localAccesses = 0,
      byteLoads = 0, sharedLoads = 1, matrixLoads = 1 }, instructions._Z4goodPf)
    assert.equal("good: 30 registers, 256 bytes shared, 0 spilled; LDG.128 1, LDG.64 0, STG.128 1, STG.64 0, LDS 1, "
      .. "LDSM 1, HMMA 1, local 0, quotients 0", machineCode.line("good", reports._Z4goodPf, instructions._Z4goodPf))
    assert.equal("bad: 200 registers, 0 bytes shared, 20 spilled", machineCode.line("bad", reports._Z3badPf))
  end)

  it("has no faults where it is as its rule says", function()
    assert.same({}, machineCode.faults(rule, reports._Z4goodPf, instructions._Z4goodPf))
  end)

  it("has each of its faults told", function()
    assert.same({
      "spills 20 bytes", "has 48 bytes of local arrays", "takes 200 registers; 64 at most",
      "has 2 accesses of local memory", "has no loads of 16 bytes", "has no stores of 16 bytes",
      "has no products by tensor cores (HMMA)", "reads 1 single bytes", "has 1 quotients of integers",
    }, machineCode.faults(rule, reports._Z3badPf, instructions._Z3badPf))
    assert.same({ "takes 256 bytes of shared memory; 128 at most" },
      machineCode.faults({ registers = 30, shared = 128 }, reports._Z4goodPf, instructions._Z4goodPf))
  end)

  it("is judged by the first rule that its name matches", function()
    local rules = { rule, { "^good", registers = 1 } }
    assert.equal(rules[1], machineCode.ruleFor(rules, "good<float>"))
    assert.equal(rules[2], machineCode.ruleFor(rules, "goodness"))
    assert.is_nil(machineCode.ruleFor(rules, "bad"))
  end)
end)

describe("check_machine_code.lua", function()
  local function run(words, environment)
    local pipe = assert(io.popen(("%s '%s' scripts/check_machine_code.lua %s 2>&1"):format(environment or "",
      temporary.interpreter(), words)))
    local text = pipe:read("a")
    local _, _, status = pipe:close()
    return status, text
  end

  it("refuses programs that are not there", function()
    local status, text = run "-nvcc no-such-nvcc"
    assert.equal(2, status)
    assert.matches("-nvcc no-such-nvcc: there is no such program", text, 1, true)
    status, text = run("-nvcc true", "CUOBJDUMP=no-such-cuobjdump")
    assert.equal(2, status)
    assert.matches("-cuobjdump no-such-cuobjdump: there is no such program", text, 1, true)
  end)

  it("fails at a kernel that is bad on purpose", function()
    local nvcc
    for _, path in ipairs { "nvcc", "/usr/local/cuda/bin/nvcc" } do
      nvcc = nvcc or os.execute("command -v " .. path .. " >/dev/null 2>&1") and path
    end
    if not nvcc then return pending("no nvcc here") end
    local directory = temporary.directory()
    finally(function() temporary.remove(directory) end)
    temporary.write(directory .. "/cuda_dropout.cu", [==[
      __global__ void array_kernel(int *y, int n) {
        int own[64] = {};
        for (int i = 0; i < n; i++) own[y[i]] += i;
        y[0] = own[n];
      }
    ]==])
    local status, text = run(("-nvcc %s -archs 90 -directory '%s' -files cuda_dropout.cu"):format(nvcc, directory))
    assert.equal(1, status)
    assert.matches("cuda_dropout.cu, sm_90: array_kernel has 256 bytes of local arrays", text, 1, true)
    assert.matches("cuda_dropout.cu, sm_90: no kernel's name matches '^dropout_kernel<float, 4'", text, 1, true)
    assert.matches("1 kernels of 1 compilations checked", text, 1, true)
    temporary.write(directory .. "/cuda_dropout.cu", "not C at all")
    status, text = run(("-nvcc %s -archs 90 -directory '%s' -files cuda_dropout.cu"):format(nvcc, directory))
    assert.equal(1, status)
    assert.matches("cuda_dropout.cu, sm_90: does not compile:", text, 1, true)
  end)
end)
