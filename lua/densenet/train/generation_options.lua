-- Options of main.lua for generated weights (densenet.mlg).
local project = require "densenet.mlg.project"
local settings = require "densenet.mlg.settings"

local function bits(name, default, help)
  return { name = name, type = "integer", default = default, min = 2, max = 32, resume = "same",
    help = help .. ", 2 to 16; 32: not quantised" }
end

return { title = "Multi-level generation",
  { name = "mlg", type = "boolean", default = false, resume = "same",
    help = "generate the weights of convolutions from small factors of few bits: docs/mlg.md" },
  { name = "mlgBaseIn", type = "integer", default = 2, min = 0, max = 1000000, resume = "same",
    help = "basis kernels for each kernel; 0: none of that level" },
  { name = "mlgBaseOut", type = "integer", default = 0, min = 0, max = 1000000, resume = "same",
    help = "kernels that a layer's outputs are mixed of, in every layer; 0: as -mlgBaseOutRatio says" },
  { name = "mlgBaseOutRatio", type = "number", default = 0.5, min = 0, max = 1, resume = "same",
    help = "the same as a share of each layer's outputs; 0: none of that level" },
  bits("mlgBasisBits", 4, "bits of the basis"),
  bits("mlgCoeffInBits", 6, "bits of the coefficients of -mlgBaseIn"),
  bits("mlgCoeffOutBits", 4, "bits of the coefficients of -mlgBaseOut"),
  bits("mlgPlainBits", 8, "bits of weights that are not generated"),
  { name = "mlgLinear", type = "boolean", default = false, resume = "same", help = "generate the last layer, too" },
  { name = "mlgRule", type = "word", default = settings.rules[1], choices = settings.rules, resume = "same",
    help = "saving: generate a layer where that takes fewer bits; published: as the paper's program" },
  { name = "teacher", type = "text", shown = "none", resume = "same",
    help = "file of the same network, ordinary and trained: weights and outputs are to become like its" },
  { name = "mlgProjection", type = "word", default = project.methods[1], choices = project.methods, resume = "same",
    help = "how factors are found for the teacher's weights. train is the published way, with 3000 steps" },
  { name = "mlgProjectionSteps", type = "integer", default = 300, min = 0, max = 1000000, resume = "same",
    help = "steps for each layer" },
  { name = "distill", type = "number", default = 0.9, min = 0, max = 1, resume = "same",
    help = "share of the teacher's outputs in the loss; 0 without -teacher" },
  { name = "temperature", type = "number", default = 3, above = 0, resume = "same",
    help = "that both networks' outputs are softened by" },
  { name = "orthoWeight", type = "number", default = 0.05, min = 0, resume = "same",
    help = "weight of the penalty on factors that are not orthonormal" },
  { name = "mlgExport", type = "text", shown = "none",
    help = "write the network of -retrain or -resume packed to this file, and stop" },
  { name = "mlgExportDense", type = "text", shown = "none",
    help = "write it with ordinary weights, which loads in PyTorch, too" },
}
