--- The published networks by name: what to hand to models.densenet, and the shape of the learning
-- rate they were trained with.
-- Source: Huang et al. 2017 (arXiv:1608.06993), tables 1 and 2, and the list of trained models of
-- its authors' repository, where the Wide, cosine and 232-layer networks stand.
-- @module densenet.models.presets

local presets = {}

local function cifar(name, options)
  options.stem = "cifar"
  presets[name] = { options = options, lrShape = "multistep" }
end

local function bottleneck(name, depth, growthRate)
  cifar(name, { depth = depth, growthRate = growthRate, bottleneck = true, reduction = 0.5 })
end

local function plain(name, depth, growthRate)
  cifar(name, { depth = depth, growthRate = growthRate, bottleneck = false, reduction = 1 })
end

local function imagenet(name, blocks, growthRate, lrShape)
  presets[name] = {
    options = { stem = "imagenet", blocks = blocks, growthRate = growthRate, bottleneck = true, reduction = 0.5 },
    lrShape = lrShape or "multistep",
  }
end

plain("40-12", 40, 12)
plain("100-12", 100, 12)
plain("100-24", 100, 24)

bottleneck("bc-100-12", 100, 12)
bottleneck("bc-250-24", 250, 24)
bottleneck("bc-190-40", 190, 40)
bottleneck("wide-40-36", 40, 36)
bottleneck("wide-40-48", 40, 48)
bottleneck("wide-40-60", 40, 60)

imagenet("densenet121", { 6, 12, 24, 16 }, 32)
imagenet("densenet169", { 6, 12, 32, 32 }, 32)
imagenet("densenet201", { 6, 12, 48, 32 }, 32)
imagenet("densenet161", { 6, 12, 36, 24 }, 48)
imagenet("densenet264", { 6, 12, 64, 48 }, 32)
imagenet("densenet232", { 6, 12, 48, 48 }, 48)
imagenet("densenet-cosine-264-32", { 6, 12, 64, 48 }, 32, "cosine")
imagenet("densenet-cosine-264-48", { 6, 12, 64, 48 }, 48, "cosine")

return presets
