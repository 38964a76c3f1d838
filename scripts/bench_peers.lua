--- Other libraries' steps beside ours, for bench.lua: PyTorch in several ways, onnxruntime in evaluation. All take
-- turns, round by round, because a machine that others use is never the same twice; a ratio is the median of those
-- within the rounds.
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local core = require "densenet.core"
local json = require "densenet.io.json"
local median = require "median"
local PeerProcess = require "peer_process"
local program = require "densenet.train.program"

local peers = {}

local SECONDS = 1800 -- the longest wait for steps, compilation included
local MEASURED = { seconds = true, rss_mb = true, peak_mb = true, version = true }

--- What can be measured beside: `-peers` takes words of it.
peers.variants = {
  { word = "nchw", module = "torchvision", title = "PyTorch" },
  { word = "nhwc", module = "torchvision", title = "PyTorch, channels_last" },
  { word = "checkpoint", module = "torchvision", title = "PyTorch, checkpointed", trains = true },
  { word = "compile", module = "torchvision", title = "PyTorch, compiled" },
  { word = "onnxruntime", module = "onnxruntime", title = "onnxruntime", infers = true },
}

local function variantOf(word)
  local words = {}
  for i, variant in ipairs(peers.variants) do
    if variant.word == word then return variant end
    words[i] = variant.word
  end
  program.refuse(("-peers: got '%s', expected words of %s with commas between"):format(word, table.concat(words, ", ")))
end

-- Those asked for, or all that suit but compilation, which takes minutes.
local function chosen(opt)
  local list = {}
  if opt.peers then
    for word in (opt.peers .. ","):gmatch("([^,]*),") do list[#list + 1] = variantOf(word) end
  else
    for _, variant in ipairs(peers.variants) do
      local suits = opt.infer and not variant.trains or not opt.infer and not variant.infers
      if variant.infers and (opt.device ~= "cpu" or opt.precision ~= "single") then suits = false end
      if suits and variant.word ~= "compile" then list[#list + 1] = variant end
    end
  end
  for _, variant in ipairs(list) do
    if variant.infers and not opt.infer then program.refuse("-peers: onnxruntime does not train; add -infer") end
    if variant.infers and (opt.device ~= "cpu" or opt.precision ~= "single") then
      program.refuse("-peers: onnxruntime is measured on the CPU in single precision only")
    end
    if variant.trains and opt.infer then program.refuse("-peers: checkpoint is a way to train; leave -infer out") end
  end
  return list
end

--- Ends the program with a sentence where nothing comparable can be built.
-- @param opt options of bench.lua
-- @param config configuration of the network
function peers.check(opt, config)
  if config.family ~= "densenet" or not config.bottleneck or config.reduction ~= 0.5 then
    program.refuse("-peer: only DenseNets with bottlenecks and a reduction of 0.5 are measured beside others; "
      .. "torchvision has no other ones")
  end
  local list = chosen(opt)
  local modules = {}
  for i, variant in ipairs(list) do modules[i] = variant.module end
  PeerProcess.check(opt.peer, modules)
  return list
end

local function start(opt, model, variant, scripts)
  local job = { variant = variant.word, network = model.config, infer = opt.infer or false }
  for _, name in ipairs { "device", "precision", "batchSize", "size", "channels", "nCores", "tiles" } do
    job[name] = opt[name]
  end
  local peer = { variant = variant, rates = {}, ratios = {} }
  if variant.word == "onnxruntime" then
    peer.onnx = os.tmpname()
    job.onnx = peer.onnx
    local saved, why = model:saveOnnx(peer.onnx, { inputSize = { opt.channels, opt.size, opt.size } })
    program.check(saved, why)
  end
  peer.process = PeerProcess.new { opt.peer, scripts .. "/bench_peer.py", json.encode(job) }
  return peer
end

-- The median seconds of n steps.
local function run(peer, n)
  peer.process:ask(("%d"):format(n))
  local answer = json.decode(peer.process:answer(SECONDS))
  if answer.error then program.stop(1, ("%s: %s"):format(peer.variant.title, answer.error)) end
  for name in pairs(MEASURED) do peer[name] = answer[name] end
  return median(answer.seconds)
end

--- Measures both sides in turn.
-- @param opt options of bench.lua: rounds, steps, warmup, peer
-- @param list what check gave
-- @param model our network
-- @param step function(n) that takes n steps of ours and returns the median of their seconds
-- @param scripts the directory of this file
-- @return list of {title =, word =, version =, median_s =, ratio = (theirs by ours), rss_mb =, peak_mb =}
function peers.measure(opt, list, model, step, scripts)
  local others = {}
  for i, variant in ipairs(list) do others[i] = start(opt, model, variant, scripts) end
  for _, peer in ipairs(others) do run(peer, opt.warmup) end
  for round = 1, opt.rounds do
    local ours = step(opt.steps)
    for _, peer in ipairs(others) do
      peer.rates[round] = run(peer, opt.steps)
      peer.ratios[round] = peer.rates[round] / ours
    end
  end
  local results = {}
  for i, peer in ipairs(others) do
    peer.process:close()
    if peer.onnx then os.remove(peer.onnx) end
    results[i] = { title = peer.variant.title, word = peer.variant.word, version = peer.version,
      median_s = median(peer.rates), ratio = median(peer.ratios), rss_mb = peer.rss_mb, peak_mb = peer.peak_mb }
  end
  return results
end

--- The results as lines for people.
function peers.lines(results)
  local lines = {}
  for i, result in ipairs(results) do
    local gpu = type(result.peak_mb) == "number" and core.format(", %.1f MB of tensors", result.peak_mb) or ""
    lines[i] = core.format("%s (%s): %.4f s, %.2f times ours%s; %.1f MB of process", result.title, result.version,
      result.median_s, result.ratio, gpu, result.rss_mb)
  end
  return lines
end

return peers
