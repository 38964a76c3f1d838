-- The operations of dense layers and transitions on the GPU.

local operation = require "spec.support.operation"

require("spec.support.cuda_cases").describe(operation.families { "dense", "transition" })
