-- A training script as they were written for Torch7: options, a data set class in loader threads, a container of its
-- own whose output is a table, checkpoints, resuming.

local script = require "spec.support.torch7_script"
local temporary = require "spec.support.temporary"

local program = [[
  require "torch"
  require "nn"
  require "cudnn"
  local optim = require "optim"
  local Threads = require "threads"
  torch.setdefaulttensortype("torch.FloatTensor")

  local cmd = torch.CmdLine()
  cmd:option("-nEpochs", 1, "epochs")
  cmd:option("-resume", "none", "directory of a checkpoint")
  cmd:option("-tensorType", "torch.CudaTensor", "of the network")
  local opt = cmd:parse(arg)
  torch.manualSeed(5)

  local holder = {}
  local Squares = torch.class("data.Squares", holder)
  function Squares:get(i)
    local label = i % 2 + 1
    local picture = torch.FloatTensor(1, 4, 4):fill(0)
    picture[1]:narrow(1, 2 * label - 1, 2):fill(1)
    return { input = picture:add(torch.FloatTensor(1, 4, 4):uniform(-0.1, 0.1)), target = label }
  end

  -- Passes its input on beside what it makes of it.
  local Keep, parent = torch.class("nn.Keep", "nn.Container")
  function Keep:__init(net)
    parent.__init(self)
    self.net, self.modules = net, { net }
    self.joined = torch.Tensor():type(opt.tensorType)
  end
  function Keep:updateOutput(input)
    torch.cat(self.joined, { input, input }, 2)
    self.output = { input, self.net:forward(self.joined) }
    return self.output
  end
  function Keep:updateGradInput(input, gradOutput)
    self.net:updateGradInput(self.joined, gradOutput[2])
    local n = input:size(2)
    self.gradInput = gradOutput[1]:clone():add(self.net.gradInput:narrow(2, 1, n))
      :add(self.net.gradInput:narrow(2, n + 1, n))
    return self.gradInput
  end
  function Keep:accGradParameters(_, gradOutput, scale)
    self.net:accGradParameters(self.joined, gradOutput[2], scale)
  end

  local net = nn.Sequential():add(cudnn.SpatialConvolution(1, 2, 3, 3, 1, 1, 1, 1))
    :add(nn.Keep(nn.Sequential():add(cudnn.SpatialBatchNormalization(4)):add(cudnn.ReLU(true))
      :add(cudnn.SpatialConvolution(4, 2, 1, 1)))):add(nn.JoinTable(2))
    :add(cudnn.SpatialAveragePooling(2, 2)):add(nn.Reshape(16)):add(nn.Linear(16, 2))
  local state, first = { learningRate = 0.1, momentum = 0.9, dampening = 0, nesterov = true }, 1
  if opt.resume ~= "none" then
    local latest = torch.load(paths.concat(opt.resume, "latest.t7"))
    net, state, first = latest.net, latest.state, latest.epoch + 1
  end
  net:get(1).gradInput = nil
  net:type(opt.tensorType)
  local criterion = nn.CrossEntropyCriterion():type(opt.tensorType)
  local params, gradParams = net:getParameters()
  assert(params:storage() == net:parameters()[1]:storage())

  local pool = Threads(2, function() end, function(id)
    torch.manualSeed(100 + id)
    _G.dataset = Squares()
  end)
  local input, target = torch[opt.tensorType:match("torch.(%a+)")](), torch.CudaLongTensor()
  for epoch = first, opt.nEpochs do
    local sum, wrong = 0, 0
    for batch = 1, 8 do
      local sample
      pool:addjob(function(indices)
        local inputs, targets = torch.FloatTensor(8, 1, 4, 4), torch.IntTensor(8)
        for i, index in ipairs(indices:totable()) do
          local each = _G.dataset:get(index)
          inputs[i]:copy(each.input)
          targets[i] = each.target
        end
        return { input = inputs, target = targets }
      end, function(result) sample = result end, torch.range(1, 8))
      pool:dojob()
      if pool:haserror() then pool:synchronize() end
      input:resize(sample.input:size()):copy(sample.input)
      target:resize(sample.target:size()):copy(sample.target)
      local output = net:forward(input):float()
      local loss = criterion:forward(net.output, target)
      net:zeroGradParameters()
      criterion:backward(net.output, target)
      net:backward(input, criterion.gradInput)
      optim.sgd(function() return criterion.output, gradParams end, params, state)
      local _, guesses = output:topk(1, 2, true, true)
      wrong = wrong + 8 - guesses:eq(sample.target:long():view(8, 1)):sum()
      sum = sum + loss
    end
    print(("epoch %d loss %.5f wrong %d"):format(epoch, sum / 8, wrong))
    local function deepCopy(value)
      local copy = {}
      for k, v in pairs(value) do copy[k] = type(v) == "table" and deepCopy(v) or v end
      if torch.typename(value) then torch.setmetatable(copy, torch.typename(value)) end
      return copy
    end
    torch.save("latest.t7", { epoch = epoch, net = deepCopy(net):float():clearState(), state = state })
  end
]]

describe("torch7: a training script", function()
  it("learns, in float, double and half alike", function()
    for _, kind in ipairs { "torch.CudaTensor", "torch.CudaDoubleTensor", "torch.CudaHalfTensor" } do
      local output = script.passes(program, { arguments = "-nEpochs 4 -tensorType " .. kind })
      local first, last = output:match("epoch 1 loss (%S+)"), output:match("epoch 4 loss (%S+) wrong 0")
      assert.message(output).is_truthy(last)
      assert.is_true(tonumber(last) < 0.2 * tonumber(first))
    end
  end)

  it("goes on from its checkpoint", function()
    local directory = temporary.directory()
    script.passes(program, { directory = directory, arguments = "-nEpochs 2" })
    local output = script.passes(program, { directory = directory, arguments = "-nEpochs 3 -resume ." })
    temporary.remove(directory)
    local loss = output:match("^epoch 3 loss (%S+) wrong 0")
    assert.message(output).is_truthy(loss)
    assert.is_true(tonumber(loss) < 0.2)
  end)
end)
