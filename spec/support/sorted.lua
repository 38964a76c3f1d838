--- The entries of a table in the order of their keys, texts: so that tests made of them come in one order.
return function(entries)
  local keys = {}
  for key in pairs(entries) do keys[#keys + 1] = key end
  table.sort(keys)
  local i = 0
  return function()
    i = i + 1
    return keys[i], entries[keys[i]]
  end
end
