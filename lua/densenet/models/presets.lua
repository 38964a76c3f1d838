--- The published networks by name: their options beside the family's usual ones, and the shape of the
-- learning rate they were trained with.
-- Source: Huang et al. 2017 (arXiv:1608.06993), tables 1 and 2, and the list of trained models of
-- its authors' repository, where the Wide, cosine and 232-layer networks stand.
-- @module densenet.models.presets

local presets = {}

local function add(name, options, lrShape)
  presets[name] = { family = "densenet", options = options, lrShape = lrShape or "multistep" }
end

local function bottleneck(name, depth, growthRate, lrShape)
  add(name, { stem = "cifar", depth = depth, growthRate = growthRate, bottleneck = true, reduction = 0.5 }, lrShape)
end

-- The paper's, of table 2: their first convolution has 16 channels, as its text says and its numbers of parameters
-- confirm.
local function plain(name, depth, growthRate)
  add(name, { stem = "cifar", depth = depth, growthRate = growthRate, bottleneck = false, reduction = 1,
    initChannels = 16 })
end

local function imagenet(name, depth, growthRate, lrShape)
  add(name, { stem = "imagenet", depth = depth, growthRate = growthRate, bottleneck = true, reduction = 0.5 }, lrShape)
end

plain("40-12", 40, 12)
plain("100-12", 100, 12)
plain("100-24", 100, 24)

bottleneck("bc-100-12", 100, 12)
bottleneck("bc-250-24", 250, 24)
bottleneck("bc-190-40", 190, 40)
bottleneck("wide", 40, 48)
bottleneck("wide-40-36", 40, 36)
bottleneck("wide-40-48", 40, 48)
bottleneck("wide-40-60", 40, 60)
bottleneck("cosine", 100, 12, "cosine")

imagenet("densenet121", 121, 32)
imagenet("densenet169", 169, 32)
imagenet("densenet201", 201, 32)
imagenet("densenet161", 161, 48)
imagenet("densenet264", 264, 32)
imagenet("densenet232", 232, 48)
imagenet("densenet-cosine-264-32", 264, 32, "cosine")
imagenet("densenet-cosine-264-48", 264, 48, "cosine")

return presets
