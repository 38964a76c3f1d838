-- The part of the report about several GPUs (gpu_report.lua): what is measured by gpu_ranks.lua on which number of
-- them, and its tables on the page. With one GPU there is one rank, which goes every way but the wire.

local ranks = {}

local WEAK_BATCH, STRONG_BATCH = 64, 64
local TINY_BATCH = 8

-- 1, or 2, 4, 8... up to what is there, and that.
local function numbers(nGPUs)
  if nGPUs < 2 then return { 1 } end
  local list, n = {}, 2
  while n < nGPUs do
    list[#list + 1] = n
    n = 2 * n
  end
  list[#list + 1] = nGPUs
  return list
end

local function commandOf(opt, n, words)
  return ("exec '%s' '%s/scripts/gpu_ranks.lua' -n %d %s"):format(opt.lua, opt.root, n, words)
end

local function sums(opt, n)
  local words = "-test allReduce -steps %d" .. (opt.tiny and " -largest 65536 -warmup 1" or "")
  return { what = "sums", ranks = n, state = "not run", command = commandOf(opt, n, words:format(opt.steps)) }
end

-- `how` is weak: a batch for each GPU; strong: one for all; alone: one GPU, with which both are compared.
local function steps(opt, how, n)
  local batch = opt.tiny and TINY_BATCH or how == "strong" and STRONG_BATCH or WEAK_BATCH
  if how == "weak" then batch = batch * n end
  local words = ("-test step -batchSize %d -steps %d"):format(batch, opt.steps)
    .. (opt.tiny and " -depth 10 -growthRate 4 -size 8 -warmup 1" or "")
  return { what = how, ranks = n, batch = batch, state = "not run", command = commandOf(opt, n, words) }
end

--- All there is to measure, in order.
-- @param opt { lua=, root=, steps=, tiny= }
-- @param nGPUs how many are here
-- @return list of { what=, ranks=, batch=, command=, state= }
function ranks.plan(opt, nGPUs)
  local list = {}
  if nGPUs > 1 then list[1] = steps(opt, "alone", 1) end
  for _, n in ipairs(numbers(nGPUs)) do
    list[#list + 1] = sums(opt, n)
    if n > 1 then
      list[#list + 1] = steps(opt, "weak", n)
      list[#list + 1] = steps(opt, "strong", n)
    end
  end
  return list
end

--- One of them in a line.
function ranks.text(one)
  local what = ("%d GPU%s, %s: "):format(one.ranks, one.ranks == 1 and "" or "s", one.what == "sums" and "sums"
    or ("step of %d images"):format(one.batch))
  if not one.result then return what .. one.state .. (one.reason and ": " .. one.reason or "") end
  if one.what == "sums" then return what .. ("%d sizes"):format(#one.result.sums) end
  return what .. ("%.5f seconds"):format(one.result.median_s)
end

-- ---- The page ----

local SUMS = [[
Sums over all GPUs, by NCCL, of vectors of floats: microseconds of one when many follow each other, and of one with the
wait for it. Bus: what each GPU sends, 2 (n - 1) / n of the bytes, in 10^9 bytes a second.]]

local STEPS = [[
Training steps of DenseNet-BC(100,12), single precision: of 64 images on each GPU (weak), of 64 on all (strong). Of the
ideal: what one GPU takes for such a batch (weak), or the n-th part of that (strong), by what they take.]]

local function add(lines, format, ...) lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format end

local function addSums(lines, list)
  add(lines, "%s", SUMS)
  add(lines, "")
  add(lines, "| GPUs | bytes | microseconds | alone | bus |")
  add(lines, "|---|---|---|---|---|")
  for _, one in ipairs(list) do
    for _, sum in ipairs(one.what == "sums" and one.result and one.result.sums or {}) do
      add(lines, "| %d | %d | %.1f | %.1f | %s |", one.ranks, sum.bytes, sum.seconds * 1e6, sum.apart_s * 1e6,
        one.ranks > 1 and ("%.2f"):format(sum.bus_gb_s) or "")
    end
  end
  add(lines, "")
end

-- What a step would take where GPUs cost nothing to join: weak, that of one GPU; strong, the n-th part of it.
local function efficiency(one, alone)
  if not alone or one.what == "alone" then return "" end
  local ideal = one.what == "weak" and alone.median_s or alone.median_s / one.ranks
  return ("%.0f %%"):format(100 * ideal / one.result.median_s)
end

local function addSteps(lines, list)
  local alone, isAny
  for _, one in ipairs(list) do
    if one.what == "alone" then alone = one.result end
    isAny = isAny or one.what ~= "sums"
  end
  if not isAny then return end
  add(lines, "%s", STEPS)
  add(lines, "")
  add(lines, "| GPUs | batch | kind | seconds a step | least | images a second | of the ideal |")
  add(lines, "|---|---|---|---|---|---|---|")
  for _, one in ipairs(list) do
    if one.what ~= "sums" and one.result then
      add(lines, "| %d | %d | %s | %.5f | %.5f | %.0f | %s |", one.ranks, one.batch, one.what, one.result.median_s,
        one.result.min_s, one.batch / one.result.median_s, efficiency(one, alone))
    end
  end
  add(lines, "")
end

--- Adds the part to the page.
-- @param lines list of the page's lines
-- @param list from plan, measured or not
-- @param nGPUs how many are here
function ranks.addTo(lines, list, nGPUs)
  if #list == 0 then return end
  local library
  for _, one in ipairs(list) do library = library or one.result and one.result.library end
  add(lines, "## Several GPUs")
  add(lines, "")
  local here = nGPUs == 1 and "One GPU is here: one rank, which goes every way but the wire."
    or ("%d GPUs are here, each with a process."):format(nGPUs)
  add(lines, "%s%s", here, library and " " .. library .. "." or "")
  add(lines, "")
  addSums(lines, list)
  addSteps(lines, list)
  local hasAll = true
  for _, one in ipairs(list) do
    if not one.result then
      add(lines, "- %s", (ranks.text(one):gsub("[|\r\n]", " ")))
      add(lines, "  `%s`", (one.command:gsub("^exec ", "")))
      hasAll = false
    end
  end
  if not hasAll then add(lines, "") end
end

return ranks
