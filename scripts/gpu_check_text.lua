--- The page of gpu_check.sh while it is written: its lines, tables, and what a step is called on it.

local text = {}

function text.isNumber(value) return type(value) == "number" end

--- A number in a table's cell; none where it is not known.
function text.number(format, value) return text.isNumber(value) and format:format(value) or "" end

--- Anything as one line of a table or list.
function text.plain(value) return (tostring(value):gsub("[|\r\n]", " ")) end

local Page = {}
Page.__index = Page

--- A page without lines, which are its elements.
function text.page() return setmetatable({}, Page) end

function Page:add(format, ...)
  self[#self + 1] = select("#", ...) > 0 and format:format(...) or format
end

function Page:heading(title)
  self:add("")
  self:add("## %s", title)
  self:add("")
end

--- A table.
-- @param columns list of names
-- @param rows list of lists of texts
function Page:rows(columns, rows)
  self:add("| %s |", table.concat(columns, " | "))
  self:add("%s", "|" .. ("---|"):rep(#columns))
  for _, row in ipairs(rows) do self:add("| %s |", table.concat(row, " | ")) end
end

--- A list under a heading; nothing where there are no lines.
function Page:list(title, lines)
  if #lines == 0 then return end
  self:heading(title)
  for _, line in ipairs(lines) do self:add("- %s", text.plain(line)) end
end

--- "DenseNet-BC(100,12), batch 64", of what gpu_step.lua printed.
function text.networkOf(one)
  local name = one.netType == "densenet121" and "DenseNet-121"
    or ("DenseNet-BC(%d,%d)"):format(one.depth, one.growthRate)
  return ("%s, batch %d"):format(name, one.batchSize)
end

--- How it ran: "captured, unfused".
function text.wayOf(one)
  local way = one.way
  if one.fused == "0" then way = way .. ", unfused" end
  if type(one.chunk_mb) == "string" then way = way .. (", chunks of %s MB"):format(one.chunk_mb) end
  return way
end

--- What steps have in common that differ in nothing but their way.
function text.sameStep(one)
  return ("%s, %s, mode %d"):format(text.networkOf(one), one.precision, one.optMemory)
end

return text
