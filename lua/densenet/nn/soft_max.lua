--- exp(x) divided by its sum: over C of a vector C, of N,C, of one image C,H,W and of N,C,H,W.
-- @classmod densenet.nn.SoftMax

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local SoftMax = class("nn.SoftMax", Module)

-- x with its channels last.
local function channelsLast(x)
  local nDim = x:dim()
  if nDim <= 2 then return x end
  return x:transpose(nDim - 2, nDim - 1):transpose(nDim - 1, nDim)
end

-- x as rows of C, contiguous and in float where it is of 16 bits: x itself, or a copy in scratch[field].
local function rowsOf(self, x, field)
  local last = channelsLast(x)
  local wide = last
  if buffer.isNarrow(x) then
    wide = buffer.besides(self.scratch, field, x, last:size())
    core.copy(wide, last)
  end
  wide = buffer.contiguous(self.scratch, field, wide)
  local c = x:dim() == 1 and x:size(1) or last:size(last:dim())
  return wide:view(c == 0 and 0 or x:nElement() // c, c)
end

-- The rows as a tensor like x, in scratch[field].
local function fromRows(self, rows, x, field)
  local result = buffer.like(self.scratch, field, x)
  local last = channelsLast(result)
  core.copy(last, rows:view(last:size()))
  return result
end

function SoftMax:updateOutput(input)
  argument.passed(self, "input", input)
  if input:dim() < 1 or input:dim() > 4 or input:nElement() == 0 then
    argument.raise("expected C, N,C, C,H,W or N,C,H,W, got %s", buffer.sizeText(input))
  end
  local rows = rowsOf(self, input, "rows")
  local y = buffer.shaped(self.scratch, "probabilities", rows, rows:size())
  core.log_softmax_forward(y, rows)
  core.unary(y, y, "exp")
  self.output = fromRows(self, y, input, "output")
  return self.output
end

-- y · (dy − Σ dy · y)
function SoftMax:updateGradInput(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  local y, dy = self.scratch.probabilities, rowsOf(self, gradOutput, "gradRows")
  local dx = buffer.shaped(self.scratch, "rowsOfGradient", dy, dy:size())
  local sums = buffer.shaped(self.scratch, "sums", dy, dy:size(1), 1)
  core.binary(dx, dy, y, "mul")
  core.reduce(sums, dx, "sum", 0)
  core.binary(dx, dy, sums, "sub")
  core.binary(dx, dx, y, "mul")
  self.gradInput = fromRows(self, dx, input, "gradInput")
  return self.gradInput
end

return SoftMax
