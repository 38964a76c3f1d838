--- What the numbers of optMemory mean, once: list[optMemory], from 0 to #list, of
--
--    word      what the mode is called
--    shares    row → whether it may share its bytes with others (densenet.nn.plan.layout); without it
--              every row has bytes of its own, and there is no arena
--    isBuilt   true: the mode is a way to build a network, which its family knows or does not; the
--              others are the plan's alone, for any module
-- @module densenet.nn.memory_modes

local function always() return true end
local function inBackward(row) return row.isBackward end

local modes = {
  [0] = { word = "standard" },
  { word = "liveness", shares = always },
  { word = "shared-gradients", shares = inBackward },
  { word = "shared", shares = always, isBuilt = true },
  { word = "linear", shares = always, isBuilt = true },
  { word = "minimal", shares = always, isBuilt = true },
}

--- The words in order, the first for 0.
function modes.words()
  local words = {}
  for mode = 0, #modes do words[mode + 1] = modes[mode].word end
  return words
end

--- The number that a word stands for, or nil.
function modes.number(word)
  for mode = 0, #modes do
    if modes[mode].word == word then return mode end
  end
end

--- "4 (linear)"
function modes.text(mode) return ("%d (%s)"):format(mode, modes[mode].word) end

return modes
