--- Networks as graphs of operations: what readers of foreign formats make of their files, and what
-- densenet.models.densenet_graph recognises a DenseNet in.
--
-- A node is a table with `op`, its input `x`, and `at`, its place in the file for messages:
--
--    input
--    conv         weight (4 dimensions), bias (or nil), stride, pad, groups
--    norm         weight, bias (or nil both), mean, var, eps
--    relu
--    maxPool      kernel, stride, pad, ceil
--    averagePool  kernel (nil: all of the image), stride, pad
--    cat          parts: nodes, none of which is a cat
--    flatten
--    linear       weight, bias
--    softMax, logSoftMax
--    affine       what scales or shifts images
--
-- Sizes (kernel, stride, pad) are numbers, of height and width alike.
-- @module densenet.models.graph

local core = require "densenet.core"

local graph = {}

local MOST_PARTS = 400 -- of a cat: a block of more layers nobody trains

local Refusal = { __name = "refusal" }

--- Ends the reading of a graph with a sentence.
function graph.refuse(format, ...)
  error(setmetatable({ reason = core.format(format, ...) }, Refusal))
end

--- Runs a reader of graphs.
-- @return what it gives; or nil and the sentence of the refusal
function graph.read(read, ...)
  local isRead, value = pcall(read, ...)
  if isRead then return value end
  if getmetatable(value) ~= Refusal then error(value, 0) end
  return nil, value.reason
end

--- The nodes joined along their channels.
-- @tparam table nodes list
-- @tparam string at place, for messages
function graph.cat(nodes, at)
  local parts = {}
  for _, node in ipairs(nodes) do
    for _, part in ipairs(node.op == "cat" and node.parts or { node }) do parts[#parts + 1] = part end
    if #parts > MOST_PARTS then graph.refuse("%s joins more than %d outputs", at, MOST_PARTS) end
  end
  if #parts == 1 then return parts[1] end
  return { op = "cat", parts = parts, at = at }
end

--- A number for height and width, which have to be alike.
function graph.side(height, width, what, at)
  if height ~= width then
    graph.refuse("%s has a %s of %sx%s; a DenseNet's is as high as wide", at, what, height, width)
  end
  return height
end

return graph
