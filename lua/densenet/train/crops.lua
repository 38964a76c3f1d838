--- Scores of a test's images, each of which may have come as several crops.

local crops = {}

--- @param model the network
-- @param input N,C,H,W; or N,crops,C,H,W
-- @return scores N,classes: of crops the mean over them, which orders classes as the sum does
function crops.forward(model, input)
  if input:dim() < 5 then return model:forward(input) end
  local n, count, channels, height, width = table.unpack(input:size())
  local output = model:forward(input:view(n * count, channels, height, width))
  return output:view(n, count, output:size(2)):mean(2):view(n, output:size(2))
end

return crops
