-- What the words of -freeze mean, and what a frozen fine-tune of DenseNet-121 takes.
local dn = require "densenet"

local MB = 2 ^ 20

local function densenet121(word)
  local config = { family = "densenet", nClasses = 1000 }
  for name, value in pairs(dn.models.presets.densenet121.options) do config[name] = value end
  local model = dn.models.withoutImageGradient(dn.models.withoutMemory(config))
  if word then model:freeze(assert(dn.models.freezing(model.config, word))) end
  return model
end

describe("freezing by words", function()
  local function trained(config, word)
    local model = dn.models.fromConfig(config)
    model:freeze(assert(dn.models.freezing(model.config, word)))
    local names, list = {}, {}
    for _, parameter in ipairs(require "densenet.nn.trained".of(model)) do
      names[parameter.name:match("^features%.[^.]+") or parameter.name:match("^[^.]+")] = true
    end
    for name in pairs(names) do list[#list + 1] = name:gsub("^features%.", "") end
    table.sort(list)
    return table.concat(list, " ")
  end

  it("leaves all behind a block to train, whatever the stem", function()
    for _, stem in ipairs { "cifar", "imagenet" } do
      local config = { blocks = { 1, 1, 1 }, growthRate = 2, stem = stem }
      assert.equal("classifier", trained(config, "classifier-only"))
      assert.equal("classifier denseblock2 denseblock3 norm5 transition2", trained(config, "block1"))
      assert.equal("classifier denseblock3 norm5", trained(config, "block2"))
      assert.equal("classifier norm5", trained(config, "block3"))
    end
  end)

  it("says how many blocks there are, and knows other words for none of its own", function()
    local config = dn.models.densenet { blocks = { 1, 1 }, growthRate = 2 }.config
    for _, word in ipairs { "block0", "block3", "block99999999999999999999" } do
      local patterns, message = dn.models.freezing(config, word)
      assert.is_nil(patterns)
      assert.equal("the network has the blocks 1 to 2", message)
    end
    local patterns, message = dn.models.freezing(config, "^features%.conv0")
    assert.is_nil(patterns)
    assert.is_nil(message)
    assert.is_nil((dn.models.freezing(dn.models.preresnet { depth = 20 }.config, "block1")))
  end)

  it("of DenseNet-121 keeps nothing of what is frozen until the backward pass", function()
    local size = { 32, 3, 224, 224 }
    local all = densenet121():plan(size).totalBytes
    for _, case in ipairs { { "block3", 301 }, { "classifier-only", 281 } } do
      local plan = densenet121(case[1]):plan(size)
      assert.is_true(plan.totalBytes / MB < case[2], ("%s: %.1f MB"):format(case[1], plan.totalBytes / MB))
      assert.is_true(plan.totalBytes < 0.3 * all)
      for _, row in ipairs(plan.rows) do
        local isFrozen = row.name:find("^features%.") and
          (case[1] == "classifier-only" or not (row.name:find("denseblock4") or row.name:find("norm5")))
        local isHeld = row.lifetime == "parameter" or row.lifetime == "state"
        if isFrozen and not isHeld and row.name ~= "features.norm5.pooled" then -- the classifier's input
          assert.equal("layer", row.lifetime, row.name)
        end
        assert.is_falsy(isFrozen and row.name:find("gradient$"), row.name)
      end
    end
  end)
end)
