--- What the bytes of a memory plan are for.
-- @module densenet.nn.plan.parts

--- @param plan densenet.nn.MemoryPlan
-- @treturn table bytes of parameters, gradients, momentum, statistics, buffers (those with a place in the arena, each
-- counted by itself: plan.arenaBytes is what they take) and others; nParameters tensors, of which nFrozen
return function(plan)
  local parts = { parameters = 0, gradients = 0, momentum = 0, statistics = plan:bytesOf "state", buffers = 0,
    others = 0, nParameters = 0, nFrozen = 0 }
  for _, row in ipairs(plan.rows) do
    local part
    if row.lifetime == "parameter" then
      part = row.name:find " momentum$" and "momentum" or row.name:find " gradient$" and "gradients" or "parameters"
    elseif row.lifetime ~= "state" then
      part = row.offset and "buffers" or "others"
    end
    if part then parts[part] = parts[part] + row.bytes end
    if part == "parameters" and not row.isRoom then
      parts.nParameters, parts.nFrozen = parts.nParameters + 1, parts.nFrozen + (row.isFrozen and 1 or 0)
    end
  end
  return parts
end
