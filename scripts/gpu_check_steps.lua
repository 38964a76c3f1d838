--- The parts of gpu_check.sh's page that are about steps: how fast they are and how much of the GPU that is, what cuDNN
-- refused, which layers no fused kernel computed, and whether ways of the same step give the same.

local text = require "gpu_check_text"

local isNumber, number, plain, wayOf = text.isNumber, text.number, text.plain, text.wayOf

local steps = {}

local function shareOfCopy(one, copy)
  if not (one.counted and isNumber(copy) and isNumber(one.device_ms)) then return "" end
  return ("%.0f %%"):format(100 * one.counted.bytes / (copy * 1e9) / (one.device_ms * 1e-3))
end

local function fusedOf(one)
  local counted = one.counted
  return counted and counted.dense and ("%d of %d"):format(counted.fused, counted.dense) or ""
end

-- What has to be 0 stands out where it is not.
local function zero(value)
  if not isNumber(value) then return "" end
  return value == 0 and "0" or ("**%d**"):format(value)
end

local function addRefusals(page, list)
  for _, one in ipairs(list) do
    if (isNumber(one.refusals) and one.refusals or 0) + (isNumber(one.direct) and one.direct or 0) > 0 then
      page:add("- **Not as it has to be**: %s, %s: cuDNN refused %d plans or calls, and slow kernels computed %d "
        .. "convolutions; both have to be 0.", text.sameStep(one), wayOf(one), one.refusals, one.direct)
    end
  end
end

--- A table of steps.
-- @param page from text.page
-- @param title its heading
-- @param list what gpu_step.lua printed
-- @param lines what else the part printed
-- @param copy bandwidth of a copy in 10^9 bytes a second; nil: not known
function steps.add(page, title, list, lines, copy)
  if #list == 0 and #lines == 0 then return end
  page:heading(title)
  local rows = {}
  for _, one in ipairs(list) do
    rows[#rows + 1] = {
      text.networkOf(one), one.precision, tostring(one.optMemory), wayOf(one), ("%.5f"):format(one.median_s),
      ("%.5f"):format(one.min_s), ("%.0f"):format(one.batchSize / one.median_s), number("%.3f", one.host_ms),
      number("%.3f", one.device_ms), shareOfCopy(one, copy), fusedOf(one), number("%.0f", one.launches),
      number("%.0f", one.nodes), zero(one.refusals), zero(one.direct), number("%.1f", one.planned_mb),
      number("%.1f", one.peak_mb),
    }
  end
  page:rows({ "network", "precision", "mode", "way", "seconds a step", "least", "images a second", "host ms", "GPU ms",
    "of copying its bytes", "fused", "launches", "nodes", "refused", "direct", "MB planned", "MB measured" }, rows)
  page:add("")
  page:add [[
Host ms: the calls without a wait. GPU ms: by events around many steps without a wait; where the host is the
slower one it is the host's. Of copying its bytes: what moving the bytes of its operations' tensors once would take at
the measured bandwidth, by GPU ms. Fused: calls of the dense layer's operations that one fused kernel did. Launches: of
kernels of our own by the host; those of a graph are among its nodes. Refused, direct: by cuDNN, and by slow kernels in
its place, from the start on.]]
  addRefusals(page, list)
  for _, line in ipairs(lines) do
    if line:find("^failed") or line:find("^left out") then page:add("- %s", plain(line)) end
  end
end

--- Calls that no fused kernel did, though they were not turned off, and not for want of tensor cores.
-- @param page from text.page
-- @param list what gpu_step.lua printed
function steps.addUnfused(page, list)
  local rows, known = {}, {}
  for _, one in ipairs(list) do
    local isMeant = one.fused ~= "0" and one.precision ~= "single" and one.precision ~= "double"
    for _, what in ipairs(isMeant and one.counted and one.counted.unfused or {}) do
      local row = { text.sameStep(one), what.what, ("%d"):format(what.calls) }
      local key = table.concat(row, "|")
      if not known[key] then rows[#rows + 1] = row end
      known[key] = true
    end
  end
  if #rows == 0 then return end
  page:heading "Layers that were not fused"
  page:rows({ "step", "window, channels, image, direction", "calls" }, rows)
end

--- Whether ways of the same step end with the same loss.
-- @param page from text.page
-- @param list what gpu_step.lua printed
function steps.addErrors(page, list)
  local first, plainOnes, rows = {}, {}, {}
  for _, one in ipairs(list) do
    local key = text.sameStep(one) .. (type(one.chunk_mb) == "string" and one.chunk_mb or "")
    local kind = key .. tostring(one.fused)
    local isCaptured = one.way == "captured" and plainOnes[kind] ~= nil
    local right = isCaptured and plainOnes[kind] or first[key]
    first[key] = first[key] or one
    if one.way == "plain" then plainOnes[kind] = one end
    if right then
      local a, b = tonumber(right.loss), tonumber(one.loss)
      local difference = right.loss == one.loss and "0" or ("%.3g"):format(math.abs(b - a) / math.abs(a))
      rows[#rows + 1] = { key, ("%s by %s"):format(wayOf(one), wayOf(right)),
        isCaptured and difference ~= "0" and ("**%s**"):format(difference) or difference }
    end
  end
  if #rows == 0 then return end
  page:heading "Errors"
  page:add [[
Loss after the same steps from one start, of a captured step beside the plain one, else beside the first way: 0 where
they are alike, bit for bit, as captured and plain steps have to be.]]
  page:add("")
  page:rows({ "step", "ways", "relative difference" }, rows)
end

return steps
