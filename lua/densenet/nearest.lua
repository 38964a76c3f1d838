--- What somebody who wrote a word wrongly may have meant.

-- Levenshtein's distance.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and diagonal or diagonal + 1
      diagonal = row[j]
      row[j] = math.min(cost, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- @tparam string word
-- @tparam table candidates list of words
-- @treturn ?string the one that is nearest; nil when more than half of the letters differ
return function(word, candidates)
  local best, bestDistance
  for _, candidate in ipairs(candidates) do
    local d = distance(word:lower(), candidate:lower())
    if not best or d < bestDistance then best, bestDistance = candidate, d end
  end
  return best and bestDistance <= math.max(1, #word // 2) and best or nil
end
