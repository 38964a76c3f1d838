--- The parent of modules on images: it takes N,C,H,W as it comes, one image C,H,W as a batch of one,
-- and hands its subclasses plane-contiguous N,C,H,W, so that each of them states only its operation:
--
--    forwardBatch(input) → output
--    gradInputBatch(input, gradOutput) → gradInput
--    accumulateBatch(input, gradOutput, scale)      where there are parameters
--
-- @classmod densenet.nn.ImageModule

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local ImageModule = class("nn.ImageModule", Module)

--- Images as a plane-contiguous batch, copied into scratch[field] where they are not.
function ImageModule:batch(images, field)
  argument.passed(self, "input", images)
  if images:dim() == 3 then
    return buffer.contiguous(self.scratch, field, images):view(1, images:size(1), images:size(2), images:size(3))
  elseif images:dim() ~= 4 then
    argument.raise("expected images N,C,H,W (or one, C,H,W), got %s", buffer.sizeText(images))
  end
  return buffer.planes(self.scratch, field, images)
end

--- gradOutput as the batch that belongs to `input`.
function ImageModule:gradBatch(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  if input:dim() == 3 then
    local whole = buffer.contiguous(self.scratch, "gradOutputCopy", gradOutput)
    return whole:view(1, table.unpack(gradOutput:size()))
  end
  return gradOutput:dim() == 4 and buffer.planes(self.scratch, "gradOutputCopy", gradOutput)
    or buffer.contiguous(self.scratch, "gradOutputCopy", gradOutput)
end

--- A result for a batch as the result for `input`.
function ImageModule.unbatch(input, result)
  return input:dim() == 3 and result:select(1, 1) or result
end

function ImageModule:updateOutput(input)
  self.output = self.unbatch(input, self:forwardBatch(self:batch(input, "inputCopy")))
  return self.output
end

function ImageModule:updateGradInput(input, gradOutput)
  local gradInput = self:gradInputBatch(self:batch(input, "inputCopy"), self:gradBatch(input, gradOutput))
  self.gradInput = self.unbatch(input, gradInput)
  return self.gradInput
end

function ImageModule:accGradParameters(input, gradOutput, scale)
  if self.accumulateBatch and not self.frozen then
    self:accumulateBatch(self:batch(input, "inputCopy"), self:gradBatch(input, gradOutput), scale or 1)
  end
end

return ImageModule
