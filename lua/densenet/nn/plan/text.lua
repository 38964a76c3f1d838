--- A memory plan as a text for people. MB are 2^20 bytes.
-- @module densenet.nn.plan.text

local core = require "densenet.core"
local memoryModes = require "densenet.nn.memory_modes"

local LEAST_BYTES = 2 ^ 14 -- of a row on a line of its own

local function megabytes(n)
  return (core.format("%.2f", n / 2 ^ 20))
end

-- Rows on lines of their own; those of parameters and statistics, and small ones, are summed up.
local function bodyLines(plan)
  local lines, smallBytes, nSmall = {}, 0, 0
  for _, row in ipairs(plan.rows) do
    if row.lifetime == "step" or row.lifetime == "layer" then
      if row.bytes >= LEAST_BYTES then
        lines[#lines + 1] = {
          row.name, table.concat(row.size, "x"), row.dtype, row.lifetime, megabytes(row.bytes),
          row.offset and tostring(row.offset) or "-",
          row.first and ("%s%d-%d"):format(row.lives.training and "" or "eval ", row.first, row.last) or "-",
        }
      else
        smallBytes, nSmall = smallBytes + row.bytes, nSmall + 1
      end
    end
  end
  if nSmall > 0 then
    lines[#lines + 1] = { ("(%d smaller ones)"):format(nSmall), "", "", "", megabytes(smallBytes), "", "" }
  end
  return lines
end

local HEAD = { "buffer", "size", "type", "lifetime", "MB", "offset", "operations" }
local IS_RIGHT = { [5] = true, [6] = true, [7] = true }

local function align(lines)
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
      cells[i] = ("%" .. (IS_RIGHT[i] and "" or "-") .. widths[i] .. "s"):format(cell)
    end
    text[n] = table.concat(cells, "  "):gsub(" +$", "")
  end
  return text
end

local function totals(plan)
  local parameters, momentum, gradients, n, nFrozen = 0, 0, 0, 0, 0
  local others, buffers = 0, 0
  for _, row in ipairs(plan.rows) do
    if row.lifetime == "parameter" then
      if row.name:find(" momentum$") then
        momentum = momentum + row.bytes
      elseif row.name:find(" gradient$") then
        gradients = gradients + row.bytes
      else
        parameters, n, nFrozen = parameters + row.bytes, n + 1, nFrozen + (row.isFrozen and 1 or 0)
      end
    elseif row.lifetime ~= "state" and row.offset then
      buffers = buffers + row.bytes
    elseif row.lifetime ~= "state" then
      others = others + row.bytes
    end
  end
  local arena = plan.arenaBytes > 0
  local lines = {
    { ("parameters (%d tensors%s)"):format(n, nFrozen > 0 and (", %d frozen"):format(nFrozen) or ""), parameters },
    { "their gradients", gradients },
    { "momentum", momentum }, { "running statistics", plan:bytesOf("state") },
    { arena and "other tensors and scratch" or "buffers and scratch", others },
  }
  if arena then
    lines[#lines + 1] = { ("buffers, %s MB without sharing"):format(megabytes(buffers)), plan.arenaBytes }
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
  return lines
end

--- @param plan densenet.nn.memory_plan
-- @treturn string lines, without a newline at the end
return function(plan)
  local body = bodyLines(plan)
  table.insert(body, 1, HEAD)
  local lines = { ("Memory of a training step, input %s in %s, %s. MB are 2^20 bytes; lifetimes: step, from forward to "
    .. "backward; layer, shorter."):format(table.concat(plan.inputSize, "x"), plan.type,
    memoryModes[plan.mode].word), "" }
  for _, part in ipairs { align(body), { "" }, totals(plan), { "" }, modes(plan) } do
    table.move(part, 1, #part, #lines + 1, lines)
  end
  return table.concat(lines, "\n")
end
