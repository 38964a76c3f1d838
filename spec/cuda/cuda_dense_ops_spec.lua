-- The operations of dense layers on the GPU.

local operation = require "spec.support.operation"

require("spec.support.cuda_cases").describe(operation.families { "dense" })
