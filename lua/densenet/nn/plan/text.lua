--- A memory plan as a text for people. MB are 2^20 bytes.
-- @module densenet.nn.plan.text

local core = require "densenet.core"
local memoryModes = require "densenet.nn.memory_modes"
local partsOf = require "densenet.nn.plan.parts"

local LEAST_BYTES = 2 ^ 14 -- of a row on a line of its own

local function megabytes(n)
  return (core.format("%.2f", n / 2 ^ 20))
end

-- The rows of buffers that are worth a line; of the others the bytes and how many they are.
local function bufferRows(plan)
  local rows, smallBytes, nSmall = {}, 0, 0
  for _, row in ipairs(plan.rows) do
    if row.lifetime == "step" or row.lifetime == "layer" then
      if row.bytes >= LEAST_BYTES then
        rows[#rows + 1] = row
      else
        smallBytes, nSmall = smallBytes + row.bytes, nSmall + 1
      end
    end
  end
  return rows, smallBytes, nSmall
end

local function smallName(n) return ("(%d smaller ones)"):format(n) end

local ROWS_HEAD = { "buffer", "size", "type", "lifetime", "MB", "offset", "operations" }
local ROWS_RIGHT = { [5] = true, [6] = true, [7] = true }

-- Each buffer on a line of its own.
local function rowLines(plan)
  local rows, smallBytes, nSmall = bufferRows(plan)
  local lines = { ROWS_HEAD }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = {
      row.name, table.concat(row.size, "x"), row.dtype, row.lifetime, megabytes(row.bytes),
      row.offset and tostring(row.offset) or "-",
      row.first and ("%s%d-%d"):format(row.lives.training and "" or "eval ", row.first, row.last) or "-",
    }
  end
  if nSmall > 0 then lines[#lines + 1] = { smallName(nSmall), "", "", "", megabytes(smallBytes), "", "" } end
  return lines
end

-- The numbers at one place of the names: the least, the most, and how many there are.
local function numbersAt(names, place)
  local seen, least, most, n = {}, math.huge, -math.huge, 0
  for _, name in ipairs(names) do
    local at = 0
    for digits in name:gmatch("%d+") do
      at = at + 1
      local number = tonumber(digits)
      if at == place and not seen[number] then
        seen[number], n = true, n + 1
        least, most = math.min(least, number), math.max(most, number)
      end
    end
  end
  return least, most, n
end

-- The names of equal buffers as one: "layer1-16" where they are all that this says, else "layer*".
local function commonName(names)
  local ranges, nSaid = {}, 1
  for _ in names[1]:gmatch("%d+") do
    local least, most, n = numbersAt(names, #ranges + 1)
    ranges[#ranges + 1] = { varies = n > 1, text = ("%d-%d"):format(least, most) }
    nSaid = nSaid * (most - least + 1)
  end
  local place = 0
  return (names[1]:gsub("%d+", function(digits)
    place = place + 1
    if not ranges[place].varies then return digits end
    return nSaid == #names and ranges[place].text or "*"
  end))
end

local SUMS_HEAD = { "MB", "life", "n", "size", "buffer" }
local SUMS_RIGHT = { true, false, true }

-- Buffers of one size, type and lifetime, whose names differ in numbers only, in a line: most bytes first.
local function sumLines(plan)
  local rows, smallBytes, nSmall = bufferRows(plan)
  local sums, byKey = {}, {}
  for _, row in ipairs(rows) do
    local size = table.concat(row.size, "x")
    local key = table.concat({ row.name:gsub("%d+", "#"), size, row.dtype, row.lifetime }, " ")
    local sum = byKey[key]
    if not sum then
      sum = { names = {}, size = size, lifetime = row.lifetime, bytes = 0, place = #sums }
      byKey[key], sums[#sums + 1] = sum, sum
    end
    sum.names[#sum.names + 1], sum.bytes = row.name, sum.bytes + row.bytes
  end
  table.sort(sums, function(a, b)
    if a.bytes ~= b.bytes then return a.bytes > b.bytes end
    return a.place < b.place
  end)
  local lines = { SUMS_HEAD }
  for _, sum in ipairs(sums) do
    lines[#lines + 1] = { megabytes(sum.bytes), sum.lifetime, ("%dx"):format(#sum.names), sum.size,
      commonName(sum.names) }
  end
  if nSmall > 0 then lines[#lines + 1] = { megabytes(smallBytes), "", "", "", smallName(nSmall) } end
  return lines
end

local function align(lines, isRight)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do
      widths[i] = math.max(widths[i] or 0, #cell)
    end
  end
  local text = {}
  for n, line in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(line) do
      cells[i] = ("%" .. (isRight[i] and "" or "-") .. widths[i] .. "s"):format(cell)
    end
    text[n] = table.concat(cells, "  "):gsub(" +$", "")
  end
  return text
end

local function totals(plan)
  local parts = partsOf(plan)
  local arena = plan.arenaBytes > 0
  local lines = {
    { ("parameters (%d tensors%s)"):format(parts.nParameters,
      parts.nFrozen > 0 and (", %d frozen"):format(parts.nFrozen) or ""), parts.parameters },
    { "their gradients", parts.gradients },
    { "momentum", parts.momentum }, { "running statistics", parts.statistics },
    { arena and "other tensors and scratch" or "buffers and scratch", parts.others },
  }
  if arena then
    lines[#lines + 1] = { ("buffers, %s MB without sharing"):format(megabytes(parts.buffers)), plan.arenaBytes }
  end
  lines[#lines + 1] = { "total", plan.totalBytes }
  local text = {}
  for i, line in ipairs(lines) do
    text[i] = ("%-44s%10s MB"):format(line[1], megabytes(line[2]))
  end
  return text
end

local function modes(plan)
  local lines, other = {}, plan
  for mode = 0, #memoryModes do
    other = mode == plan.mode and plan or (other or plan):inMode(mode) -- one traced mode may serve the next
    if other then
      lines[#lines + 1] = ("-optMemory %d  %-29s%10s MB%s"):format(mode, memoryModes[mode].word,
        megabytes(other.totalBytes), mode == plan.mode and "  (this plan)" or "")
    end
  end
  local evaluation = not plan.isOfEvaluation and plan.ofEvaluation and plan:ofEvaluation()
  if evaluation then
    lines[#lines + 1] = ("evaluation%-33s%10s MB"):format(evaluation.nAtOnce < evaluation.inputSize[1]
      and (", %d images at a time"):format(evaluation.nAtOnce) or "", megabytes(evaluation.totalBytes))
  end
  return lines
end

--- @param plan densenet.nn.memory_plan
-- @tparam[opt] boolean hasRows true: each buffer on a line of its own; else equal ones are summed
-- @treturn string lines, without a newline at the end
return function(plan, hasRows)
  local what = plan.isOfEvaluation and "an evaluation" or "a training step"
  local lines = { ("Memory of %s. MB are 2^20 bytes."):format(what), ("input %s in %s, %s"):format(
    table.concat(plan.inputSize, "x"), plan.type, memoryModes[plan.mode].word), "" }
  local body = hasRows and align(rowLines(plan), ROWS_RIGHT) or align(sumLines(plan), SUMS_RIGHT)
  local about = hasRows and "Buffers, each by itself." or "Buffers, equal ones in a line; each by itself: -plan rows."
  local lives = "Some live for a step, from forward to backward, some for a layer, which is less."
  for _, part in ipairs { totals(plan), { "" }, modes(plan), { "", about, lives, "" }, body } do
    table.move(part, 1, #part, #lines + 1, lines)
  end
  return table.concat(lines, "\n")
end
