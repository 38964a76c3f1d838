--- The page of what gpu_check.sh found, from the files in its directory, however many of them are there yet.
--
-- Every number on it was printed by a measuring script as JSON; what a build or a machine does not tell is said to be
-- so. Steps of one network in several ways stand below each other, from the same start, so their losses say whether
-- the ways are alike.

local json = require "densenet.io.json"

local function read(path)
  local file = io.open(path)
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

-- All that a part's file has in JSON, by its kind; and the lines beside it.
local function readPart(directory, name)
  local found, lines = {}, {}
  for line in (read(("%s/%s.txt"):format(directory, name)) or ""):gmatch("[^\n]+") do
    local value = line:find("^{") and json.decode(line)
    if type(value) == "table" and value.kind then
      found[#found + 1] = value
    else
      lines[#lines + 1] = line
    end
  end
  return found, lines
end

local function isNumber(value) return type(value) == "number" end

local function number(format, value, scale)
  return isNumber(value) and format:format(value * (scale or 1)) or ""
end

local function plain(text) return (tostring(text):gsub("[|\r\n]", " ")) end

local Page = {}
Page.__index = Page

function Page:add(format, ...)
  self[#self + 1] = select("#", ...) > 0 and format:format(...) or format
end

function Page:heading(text)
  self:add("")
  self:add("## %s", text)
  self:add("")
end

-- columns: list of names; rows: list of lists of texts.
function Page:rows(columns, rows)
  self:add("| %s |", table.concat(columns, " | "))
  self:add("%s", "|" .. ("---|"):rep(#columns))
  for _, row in ipairs(rows) do self:add("| %s |", table.concat(row, " | ")) end
end

-- ---- What a step is ----

local function networkOf(one)
  local name = one.netType == "densenet121" and "DenseNet-121"
    or ("DenseNet-BC(%d,%d)"):format(one.depth, one.growthRate)
  return ("%s, batch %d"):format(name, one.batchSize)
end

local function wayOf(one)
  local way = one.way
  if one.fused == "0" then way = way .. ", unfused" end
  if type(one.chunk_mb) == "string" then way = way .. (", chunks of %s MB"):format(one.chunk_mb) end
  return way
end

-- What steps have in common that differ in nothing but their way.
local function sameStep(one) return ("%s, %s, mode %d"):format(networkOf(one), one.precision, one.optMemory) end

-- ---- Sections ----

local function addFacts(page, directory, found, lines)
  local about = found[1] or {}
  page:add("# densenet on %s", plain(about.product or "a GPU that was not described"))
  page:add("")
  if about.emulated then
    page:add("This is the emulation on the host: its figures show that everything runs, and nothing of a GPU.")
    page:add("")
  end
  local commit = (read(directory .. "/commit.txt") or ""):match("%S+")
  page:add("Commit %s. CUDA %s (driver %s), cuBLAS %s, cuDNN %s.", commit or "unknown", about.runtime or "?",
    about.driver or "?", about.cublas or "?", about.cudnn or "?")
  local _, after = readPart(directory, "clocks")
  for i, list in ipairs { lines, after } do
    if #list > 0 then page:add("Clocks %s: %s.", i == 1 and "before" or "after", plain(list[#list])) end
  end
end

local function addParts(page, directory)
  page:heading "Parts"
  local rows = {}
  for line in (read(directory .. "/parts.txt") or ""):gmatch("[^\n]+") do
    local name, state, seconds = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)$")
    if name then rows[#rows + 1] = { name, plain(state), seconds, name .. ".txt" } end
  end
  page:rows({ "part", "how it ended", "seconds", "file" }, rows)
end

local function addCeilings(page, about)
  if not isNumber(about.copy_gb_s) then return end
  page:heading "Ceilings"
  page:add("Copy of %.0f MB: %.0f GB/s, read and written. A small operation: %.2f microseconds of the host, %.1f with "
    .. "the wait. A product of %dx%d: %s.", about.bytes / 1e6, about.copy_gb_s, about.launch_us, about.round_us,
    about.side, about.side, ("%.1f TFLOP/s single, %.1f tf32, %.1f bfloat16"):format(about.tflops.single,
      about.tflops.tf32, about.tflops.bfloat16))
end

-- Bytes of a step's operations by what it is, where they were timed.
local function bytesBySteps(operations)
  local bytes = {}
  for _, one in ipairs(operations) do
    local sum = 0
    for _, operation in ipairs(one.operations or {}) do sum = sum + operation.bytes end
    bytes[sameStep(one)] = sum
  end
  return bytes
end

local function shareOfCopy(one, bytes, copy)
  local all = bytes[sameStep(one)]
  if not (all and isNumber(copy) and isNumber(one.device_ms)) then return "" end
  return ("%.0f %%"):format(100 * all / (copy * 1e9) / (one.device_ms * 1e-3))
end

local function addSteps(page, title, steps, lines, bytes, copy)
  if #steps == 0 and #lines == 0 then return end
  page:heading(title)
  local rows, isCounted = {}, false
  for _, one in ipairs(steps) do
    isCounted = isCounted or isNumber(one.refusals)
    rows[#rows + 1] = {
      networkOf(one), one.precision, tostring(one.optMemory), wayOf(one), ("%.5f"):format(one.median_s),
      ("%.5f"):format(one.min_s), ("%.0f"):format(one.batchSize / one.median_s), number("%.3f", one.host_ms),
      number("%.3f", one.device_ms), shareOfCopy(one, bytes, copy), number("%.0f", one.launches),
      number("%.0f", one.nodes), number("%.0f", one.refusals), number("%.1f", one.planned_mb),
      number("%.1f", one.peak_mb),
    }
  end
  page:rows({ "network", "precision", "mode", "way", "seconds a step", "least", "images a second", "host ms",
    "device ms", "of copying its bytes", "launches", "nodes", "refusals", "MB planned", "MB measured" }, rows)
  page:add("")
  page:add("Host ms: the calls without a wait. Device ms: of one step among many, which is what the slower of host and "
    .. "GPU takes. Of copying its bytes: what moving the bytes of its operations' tensors would take at the measured "
    .. "bandwidth, by device ms. Launches are counted by the emulation alone.%s",
    isCounted and "" or " This build does not count what cuDNN refuses.")
  for _, line in ipairs(lines) do
    if line:find("^failed") or line:find("^left out") then page:add("- %s", plain(line)) end
  end
end

-- Whether ways of the same step end with the same loss.
local function addErrors(page, steps)
  local first, order, alike = {}, {}, {}
  for _, one in ipairs(steps) do
    local key = sameStep(one) .. (type(one.chunk_mb) == "string" and one.chunk_mb or "")
    if not first[key] then
      first[key] = one
      order[#order + 1] = key
    else
      alike[key] = alike[key] or {}
      table.insert(alike[key], one)
    end
  end
  if not next(alike) then return end
  page:heading "Errors"
  page:add "Loss after the same steps, from one start, beside the first way's: 0 where they are alike, bit for bit."
  page:add("")
  local rows = {}
  for _, key in ipairs(order) do
    for _, one in ipairs(alike[key] or {}) do
      local right, own = tonumber(first[key].loss), tonumber(one.loss)
      rows[#rows + 1] = { key, ("%s by %s"):format(wayOf(one), wayOf(first[key])),
        first[key].loss == one.loss and "0" or ("%.3g"):format(math.abs(own - right) / math.abs(right)) }
    end
  end
  page:rows({ "step", "ways", "relative difference" }, rows)
end

local function addOperations(page, operations, copy)
  for _, one in ipairs(operations) do
    if one.operations then
      page:heading("Operations of a step: " .. sameStep(one))
      local rows = {}
      for _, operation in ipairs(one.operations) do
        local rate = operation.bytes / operation.seconds / 1e9
        rows[#rows + 1] = { operation.name, ("%d"):format(operation.calls), ("%.1f"):format(operation.seconds * 1e6),
          ("%.2f"):format(operation.bytes / 1e6), ("%.0f"):format(rate),
          isNumber(copy) and ("%.0f %%"):format(100 * rate / copy) or "" }
      end
      page:rows({ "operation", "calls", "microseconds", "MB", "GB/s", "of copy" }, rows)
    end
  end
end

local function addConvolutions(page, found)
  if #found == 0 then return end
  page:heading "Convolutions"
  local rows = {}
  for _, one in ipairs(found) do
    rows[#rows + 1] = { one.precision, ("%dx%d, %d to %d, %dx%d"):format(one.side, one.side, one.channels, one.outputs,
      one.size, one.size), one.direction, ("%.1f"):format(one.host_us), ("%.1f"):format(one.device_us),
      ("%.0f"):format(one.gflop_s) }
  end
  page:rows({ "precision", "window, channels, image", "direction", "host microseconds", "microseconds", "GFLOP/s" },
    rows)
end

local function addLines(page, title, lines)
  if #lines == 0 then return end
  page:heading(title)
  for _, line in ipairs(lines) do page:add("- %s", plain(line)) end
end

-- Our names of the peer's precisions.
local OURS = { float = "single", tf32 = "tf32", bf16 = "bfloat16", half = "half" }

local function best(list, precision, key)
  local found
  for _, one in ipairs(list) do
    if one.precision == precision and isNumber(one[key]) and (not found or one[key] < found[key]) then found = one end
  end
  return found
end

local function addPeer(page, peers, steps)
  if #peers == 0 then return end
  page:heading "Peer"
  local rows = {}
  for _, one in ipairs(peers) do
    rows[#rows + 1] = { plain(one.peer), one.precision, one.format, one.compile, one.memory,
      one.error and plain(one.error) or ("%.5f"):format(one.median_s), number("%.0f", one.median_s and one.batch
      / one.median_s), number("%.1f", one.peak_mb) }
  end
  page:rows({ "peer", "precision", "layout", "compiled", "memory", "seconds a step", "images a second", "MB" }, rows)
  page:add("")
  for _, precision in ipairs { "bf16", "tf32", "float" } do
    local ours, fastest, smallest = {}, best(peers, precision, "median_s"), best(peers, precision, "peak_mb")
    for _, one in ipairs(steps) do
      if fastest and one.netType == "densenet" and one.depth == fastest.depth and one.growthRate == fastest.growth
        and one.batchSize == fastest.batch then
        ours[#ours + 1] = one
      end
    end
    local own = best(ours, OURS[precision], "median_s")
    if own and fastest then
      page:add("- %s: %.2f times as fast as the peer's fastest (%s, %s), with %s of the memory of its smallest.",
        OURS[precision], fastest.median_s / own.median_s, fastest.format, fastest.compile,
        smallest and ("%.0f %%"):format(100 * own.peak_mb / smallest.peak_mb) or "an unknown share")
    end
  end
end

--- The page's text.
-- @param directory gpu_check.sh's OUT
return function(directory)
  local page = setmetatable({}, Page)
  local device, deviceLines = readPart(directory, "device")
  local steps, stepLines = readPart(directory, "steps")
  local larger, largerLines = readPart(directory, "larger")
  local operations = readPart(directory, "operations")
  local about = device[1] or {}
  local bytes = bytesBySteps(operations)
  addFacts(page, directory, device, deviceLines)
  addParts(page, directory)
  addCeilings(page, about)
  addSteps(page, "Steps", steps, stepLines, bytes, about.copy_gb_s)
  addSteps(page, "Larger networks", larger, largerLines, bytes, about.copy_gb_s)
  addErrors(page, steps)
  addOperations(page, operations, about.copy_gb_s)
  addConvolutions(page, (readPart(directory, "convolutions")))
  addLines(page, "Specs", select(2, readPart(directory, "specs")))
  local sanitizer = {}
  for _, line in ipairs((select(2, readPart(directory, "sanitizer")))) do
    if line:find("^==") and not line:find("^=========") or line:find "SUMMARY" or line:find("^left out")
      or line:find("^failed") then
      sanitizer[#sanitizer + 1] = line
    end
  end
  addLines(page, "compute-sanitizer", sanitizer)
  addPeer(page, (readPart(directory, "peer")), steps)
  local _, training = readPart(directory, "training")
  addLines(page, "Training", table.move(training, math.max(1, #training - 9), #training, 1, {}))
  return table.concat(page, "\n")
end
