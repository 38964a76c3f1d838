-- Every program in examples/ runs, on a small amount of work, and says what it should.

local temporary = require "spec.support.temporary"

local build = os.getenv("DENSENET_BUILD") or "build"

-- Runs a command line inside this checkout; all it wrote.
local function run(command)
  local pipe = assert(io.popen(("eval $(make -s env); export LUA_CPATH_5_4=\"$PWD/%s/?.so;;\"; (%s) 2>&1")
    :format(build, command)))
  local output = pipe:read("a")
  local ok = pipe:close()
  assert.message(output).is_truthy(ok)
  return output
end

-- A program's arguments, and what its output must match.
local programs = {
  ["train.lua"] = { "640", "top%-1 error on 160 test images: %d+%.%d+ %%" },
  ["lenet.lua"] = "spec/train/open_lists_spec.lua", -- modules that main.lua loads, run there
  ["spirals.lua"] = "spec/train/open_lists_spec.lua",
  ["pictures.lua"] = "spec/train/pictures_spec.lua",
  ["recipe.lua"] = { "1", "the first test picture is a [%a ]+ with probability [01]%.%d%d" },
  ["own_module.lua"] = { "", "^1\t.*\n5\t" },
  ["faces.lua"] = "spec/data/faces_spec.lua", -- wants a file that is not here
  ["embed.c"] = { "", "loss of exclusive%-or after 500 steps: 0%.0" },
}

describe("examples", function()
  it("are all run here", function()
    local pipe = assert(io.popen("ls examples"))
    for name in pipe:lines() do assert.message(name).is_truthy(programs[name]) end
    pipe:close()
  end)

  for _, name in ipairs { "train.lua", "recipe.lua", "own_module.lua" } do
    it(name .. " runs", function()
      local arguments, expected = table.unpack(programs[name])
      assert.matches(expected, run(("%s examples/%s %s"):format(temporary.interpreter(), name, arguments)))
    end)
  end

  it("embed.c runs", function()
    if build ~= "build" then return pending("its interpreter has no sanitizers") end
    local program = os.tmpname()
    finally(function() os.remove(program) end)
    run(("cc -Wall -Wextra -Werror examples/embed.c -o %s $(pkg-config --cflags --libs lua5.4)"):format(program))
    assert.matches(programs["embed.c"][2], run(program))
  end)
end)
