-- The counts that runs of busted left in a file (report.lua), added up: lua5.4 totals.lua FILE
local passed, failed, skipped = 0, 0, 0
for line in io.lines((...)) do
  local p, f, s = line:match "^(%d+) passed, (%d+) failed, (%d+) skipped$"
  passed, failed, skipped = passed + p, failed + f, skipped + s
end
print(("\n%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
