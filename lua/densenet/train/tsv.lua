--- Tables of tab-separated values.
local tsv = {}

--- A text as a cell: a tab or the end of a line in it is a space.
function tsv.cell(text) return (tostring(text):gsub("[\t\r\n]", " ")) end

--- The cells of a line.
function tsv.split(line)
  local cells = {}
  for cell in line:gmatch "[^\t]*" do cells[#cells + 1] = cell end
  return cells
end

--- Who was taken for whom: a row for each true class, a column for each that was told.
-- @param confusion by true class, by the class told: how many; none is 0
-- @param classes names
-- @return text
function tsv.confusion(confusion, classes)
  local lines, names = {}, {}
  for i, name in ipairs(classes) do names[i] = tsv.cell(name) end
  lines[1] = "truth\t" .. table.concat(names, "\t")
  for i = 1, #classes do
    local row = { names[i] }
    for j = 1, #classes do row[j + 1] = confusion[i] and confusion[i][j] or 0 end
    lines[i + 1] = table.concat(row, "\t")
  end
  return table.concat(lines, "\n") .. "\n"
end

return tsv
