-- The counts that runs of spec files left (report.lua), added up; fails when a test did, or when there are
-- none: cat COUNTS... | lua5.4 totals.lua
local passed, failed, skipped = 0, 0, 0
for line in io.lines() do
  local p, f, s = line:match "^(%d+) passed, (%d+) failed, (%d+) skipped$"
  passed, failed, skipped = passed + p, failed + f, skipped + s
end
print(("\n%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0 and passed > 0)
