-- Shares of a mini-batch, in one process: together they are the batch, and its dropout masks.
local batchShare = require "densenet.nn.batch_share"
local core = require "densenet.core"
local dn = require "densenet"
local random = require "densenet.random"

local function set(n)
  local images, labels = {}, {}
  for i = 1, n do images[i], labels[i] = { { { i } } }, i end
  return { images = dn.tensor(images, "byte"), labels = dn.tensor(labels, "long"), size = function() return n end }
end

local function samples(n, batchSize, shard, nThreads)
  local loader <close> = dn.data.Loader { set = set(n), batchSize = batchSize, shuffle = true, seed = 3, shard = shard,
    nThreads = nThreads }
  local list = {}
  for i, sample in loader:run(2) do
    local entered = batchShare.get()
    list[i] = { size = sample.size, share = sample.share, entered = entered, target = sample.target:totable(),
      input = sample.input:view(sample.input:nElement()):totable() }
  end
  assert.is_nil(batchShare.get())
  return list
end

describe("a share of a batch", function()
  after_each(function() batchShare.set(nil) end)

  for _, nThreads in ipairs { 0, 2 } do
    for ranks = 2, 5 do
      it(("of %d ranks is their part of each batch, in order (%d threads)"):format(ranks, nThreads), function()
        local whole = samples(23, 7, nil, nThreads) -- 7, 7, 7, 2
        local joined = {}
        for r = 0, ranks - 1 do
          for i, sample in ipairs(samples(23, 7, { rank = r, size = ranks }, nThreads)) do
            assert.are.equal(#whole[i].target, sample.share.whole)
            assert.are.equal(sample.share, sample.entered)
            joined[i] = joined[i] or {}
            for k = 1, sample.size do table.insert(joined[i], sample.target[k]) end
            if sample.size == 0 then -- images of the batch that do not count
              assert.are.equal(math.min(2, sample.share.whole), #sample.input)
              local isIn = {}
              for _, label in ipairs(whole[i].target) do isIn[label] = true end
              for _, label in ipairs(sample.target) do assert.is_true(isIn[label]) end
            else
              assert.are.equal(sample.size, #sample.target)
            end
          end
        end
        assert.are.equal(#whole, #joined)
        for i, sample in ipairs(whole) do assert.same(sample.target, joined[i]) end
      end)
    end
  end

  it("is as even as can be, in whole images", function()
    for whole = 0, 20 do
      for size = 1, 6 do
        local at = 0
        for rank = 0, size - 1 do
          local share = batchShare.of(whole, rank, size)
          if share.size > 0 then assert.are.equal(at, share.first) end
          at = at + share.size
          assert.is_true(math.abs(share.size - whole / size) < 1)
          assert.are.equal(share.size, share.sizes[rank + 1])
          assert.is_true(share.first >= 0 and share.first + share.rows <= whole)
        end
        assert.are.equal(whole, at)
      end
    end
  end)

  for _, class in ipairs { "Dropout", "SpatialDropout" } do
    for _, sizes in ipairs { { 7, 3 }, { 7, 5, 3, 3 }, { 8, 4, 2, 2 } } do
      it(("has its part of the masks of nn.%s on %s, forwards and backwards"):format(class, table.concat(sizes, "x")),
        function()
          if class == "SpatialDropout" and #sizes == 2 then return end
          local n = sizes[1]
          local x, dy = dn.ones(table.unpack(sizes)), dn.ones(table.unpack(sizes)):mul(2)
          local module = dn.nn[class](0.4)
          local function pass(input, gradient)
            dn.manualSeed(4)
            random.reserve(3)
            local y = module:forward(input):clone()
            return y, module:backward(input, gradient):clone(), random.state().position
          end
          local y, dx, position = pass(x, dy)
          assert.is_true(y:sum() > 0 and y:min() == 0)
          for ranks = 2, 3 do
            for r = 0, ranks - 1 do
              local share = batchShare.of(n, r, ranks)
              batchShare.set(share)
              local own = function(t) return t:narrow(1, share.first + 1, share.rows) end
              local yHere, dxHere, here = pass(own(x):contiguous(), own(dy):contiguous())
              assert.same(own(y):totable(), yHere:totable())
              assert.same(own(dx):totable(), dxHere:totable())
              assert.are.equal(position, here)
              batchShare.set(nil)
            end
          end
        end)
    end
  end

  it("refuses rows that are no multiple of its images", function()
    batchShare.set(batchShare.of(6, 0, 2))
    assert.error_matches(function() dn.nn.Dropout(0.5):forward(dn.ones(4, 5)) end,
      "20 elements are no multiple of the 3 images of this rank's share of the batch")
  end)

  it("moves no running statistics where it has no images", function()
    local norm = dn.nn.SpatialBatchNormalization(2)
    local x = dn.randn(2, 2, 3, 3)
    local share = batchShare.of(1, 0, 2)
    assert.are.equal(0, share.size)
    batchShare.set(share)
    norm:forward(x)
    assert.same({ 0, 0 }, norm.running_mean:totable())
    assert.same({ 1, 1 }, norm.running_var:totable())
    batchShare.set(nil)
    norm:forward(x)
    assert.is_true(core.is_tensor(norm.running_mean) and norm.running_mean:at(1) ~= 0)
  end)
end)
