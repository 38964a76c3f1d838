--- Batch normalization of N,C per column, as SpatialBatchNormalization has it for images.
-- @classmod densenet.nn.BatchNormalization

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization"

--- Constructed as SpatialBatchNormalization: nn.BatchNormalization(C, eps, momentum, affine).
local BatchNormalization = class("nn.BatchNormalization", SpatialBatchNormalization)

function BatchNormalization:batch(rows, field)
  argument.passed(self, "input", rows)
  if rows:dim() ~= 2 then argument.raise("expected N,%d, got %s", self.nChannels, buffer.sizeText(rows)) end
  return buffer.contiguous(self.scratch, field, rows)
end

function BatchNormalization:gradBatch(_, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  return buffer.contiguous(self.scratch, "gradOutputCopy", gradOutput)
end

function BatchNormalization.unbatch(_, result) return result end

return BatchNormalization
