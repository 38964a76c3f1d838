-- Every reader meets some thousand damaged files in a process that may not take much memory, and
-- answers each with a value or with a sentence.
local damagedFiles = require "spec.support.damaged_files"
local temporary = require "spec.support.temporary"

-- Kilobytes of address space, most of which are libraries, and those by which memory may grow. The address
-- sanitizer takes terabytes of the one and keeps what is freed for a while.
local isSanitized = (os.getenv("DENSENET_BUILD") or ""):find("asan")
local ADDRESS_SPACE, MOST_GROWTH = isSanitized and "unlimited" or "1500000", isSanitized and 600000 or 16000

describe("a damaged file", function()
  local names = {}
  for name in pairs(damagedFiles.readers) do names[#names + 1] = name end
  table.sort(names)

  for _, name in ipairs(names) do
    it("is read or refused: " .. name, function()
      local reader = damagedFiles.readers[name]
      if reader.isMissing and reader.isMissing() then return pending("not in this build") end
      local output = temporary.output(([[require("spec.support.damaged_files").run(%q, 3000, 20170721)]]):format(name),
        ("ulimit -v %s; OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"):format(ADDRESS_SPACE))
      local nRead, nRefused, kilobytes = output:match("^(%d+)%s+(%d+)%s+(%d+)\n$")
      assert.is_truthy(nRead, output)
      assert.is_true(tonumber(nRead) > 5 and tonumber(nRefused) > 300, output)
      local most = MOST_GROWTH + (reader.memory or 0) // 1024
      assert.is_true(tonumber(kilobytes) < most, output)
    end)
  end
end)
