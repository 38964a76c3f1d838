local nextSteps = require "densenet.train.next_steps"

describe("the next steps of a run", function()
  it("begin as the script was started", function()
    assert.equal("lua5.4 main.lua", nextSteps.program { [-1] = "lua5.4", [0] = "main.lua", "-depth", "40" })
    assert.equal("lua5.4 -W '/my dir/main.lua'", nextSteps.program { [-2] = "lua5.4", [-1] = "-W",
      [0] = "/my dir/main.lua" })
    assert.equal("densenet train", nextSteps.program { [-1] = "lua5.4", [0] = "x/main.lua",
      program = { "densenet", "train" } })
  end)

  it("are a test and a longer run, with what a file of the run does not hold", function()
    local values = { save = "run", device = "cpu", nEpochs = 2 }
    assert.equal("lua main.lua -retrain run/best -testOnly true",
      nextSteps.test(values, {}, "lua main.lua", "run/best"))
    assert.equal("main.lua -resume run", nextSteps.resume(values, {}, "main.lua"))
    assert.equal("main.lua -resume run -nEpochs 4", nextSteps.resume(values, {}, "main.lua", "-nEpochs 4"))
    values.data = "my images"
    values.nGPU, values.nProcesses = 0, 1
    for _, given in ipairs { { device = true }, { nGPU = true } } do
      assert.equal("main.lua -retrain run/best -testOnly true -data 'my images' -device cpu",
        nextSteps.test(values, given, "main.lua", "run/best"))
      assert.equal("main.lua -resume run -device cpu", nextSteps.resume(values, given, "main.lua"))
    end
  end)

  it("have as many processes as the run", function()
    local values = { save = "run", device = "cuda:0", nGPU = 4, nProcesses = 1 }
    assert.equal("main.lua -resume run -nGPU 4", nextSteps.resume(values, { nGPU = true }, "main.lua"))
    values = { save = "run", device = "cpu", nProcesses = 2 }
    assert.equal("main.lua -resume run -nProcesses 2 -device cpu",
      nextSteps.resume(values, { device = true, nProcesses = true }, "main.lua"))
  end)

  it("are words for a shell", function()
    for name, expected in pairs { ["a b"] = "-resume 'a b'", ["it's"] = "-resume 'it'\\''s'", ["-run"] = "-resume=-run",
      ["$(x)"] = "-resume '$(x)'", ["~x"] = "-resume '~x'", ["100%"] = "-resume 100%" } do
      local command = nextSteps.resume({ save = name }, {}, "m")
      assert.equal("m " .. expected, command)
      local pipe = io.popen("m() { printf '%s|' \"$@\"; }; " .. command)
      assert.equal((expected:find("=", 1, true) and "-resume=" or "-resume|") .. name .. "|", pipe:read("a"))
      pipe:close()
    end
  end)
end)
