--- The page of what gpu_check.sh found, from the files in its directory, however many of them are there yet.
--
-- Every number on it was printed by a measuring script as JSON; what a build or a machine does not tell is said to be
-- so. Steps of one network in several ways stand below each other, from the same start, so their losses say whether
-- the ways are alike.

local json = require "densenet.io.json"
local steps = require "gpu_check_steps"
local text = require "gpu_check_text"

local function read(path)
  local file = io.open(path)
  local content = file and file:read("a")
  if file then file:close() end
  return content
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

local isNumber, number, plain = text.isNumber, text.number, text.plain

-- ---- Sections ----

local function addFacts(page, directory, about, lines)
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

-- All lines of the part together: a part that was cut has fewer of them.
local function ceilingsOf(found)
  local about = {}
  for _, one in ipairs(found) do
    for name, value in pairs(one) do about[name] = value end
  end
  return about
end

local function addCeilings(page, about)
  if not isNumber(about.copy_gb_s) then return end
  page:heading "Ceilings"
  page:add("Copy of %.0f MB: %.0f GB/s, read and written.", about.bytes / 1e6, about.copy_gb_s)
  if about.launch_us then
    page:add("A small operation: %.2f microseconds of the host, %.1f with the wait.", about.launch_us, about.round_us)
  end
  local empty = about.empty
  if empty then
    page:add("")
    page:rows({ "a kernel that does nothing", "microseconds of the host", "of the GPU" }, {
      { ("launched, one of %d"):format(empty.launches), ("%.2f"):format(empty.launch_us),
        ("%.2f"):format(empty.gpu_us) },
      { ("a node of a graph of %d"):format(empty.nodes), ("%.3f (%.1f the graph)"):format(empty.graph_us / empty.nodes,
        empty.graph_us), ("%.2f"):format(empty.node_us) },
    })
  end
  if not about.tflops then return end
  local rows = {}
  for _, precision in ipairs { "single", "tf32", "bfloat16", "half" } do
    local library, own = about.tflops[precision], about.mma_tflops and about.mma_tflops[precision]
    rows[#rows + 1] = { precision, number("%.1f", library), number("%.1f", own) }
  end
  page:add("")
  page:rows({ "10^12 operations a second", ("cuBLAS, %dx%d"):format(about.side, about.side),
    "mma.sync, as fused kernels have it" }, rows)
end

local function addOperations(page, operations, copy)
  for _, one in ipairs(operations) do
    if one.operations then
      page:heading("Operations of a step: " .. text.sameStep(one))
      local rows = {}
      for _, operation in ipairs(one.operations) do
        local kernels = operation.kernel_s
        local rate = operation.bytes / (isNumber(kernels) and kernels > 0 and kernels or operation.seconds) / 1e9
        rows[#rows + 1] = { operation.name, ("%d"):format(operation.calls), ("%.1f"):format(operation.seconds * 1e6),
          number("%.1f", kernels and kernels * 1e6), ("%.2f"):format(operation.bytes / 1e6), ("%.0f"):format(rate),
          isNumber(copy) and ("%.0f %%"):format(100 * rate / copy) or "" }
      end
      page:add "GB/s: by the kernels' time where it is known, so without the gaps between them."
      page:add("")
      page:rows({ "operation", "calls", "microseconds", "of its kernels", "MB", "GB/s", "of copy" }, rows)
    end
  end
end

local function addKernels(page, list)
  for _, one in ipairs(list) do
    page:heading(("Kernels of a step: %s, %s"):format(text.sameStep(one), text.wayOf(one)))
    if one.kernels then
      local rows, all = {}, 0
      for _, kernel in ipairs(one.kernels) do all = all + kernel.seconds end
      for _, kernel in ipairs(one.kernels) do
        rows[#rows + 1] = { plain(kernel.name), ("%.4g"):format(kernel.calls), ("%.1f"):format(kernel.seconds * 1e6),
          ("%.2f"):format(kernel.seconds * 1e6 / kernel.calls), ("%.1f %%"):format(100 * kernel.seconds / all) }
      end
      page:add("All kernels: %.3f ms of a step's %s.", all * 1e3, number("%.3f ms", one.device_ms))
      page:add("")
      page:rows({ "kernel", "calls", "microseconds", "of one", "of all" }, rows)
    else
      page:add("There are no times of kernels: %s", plain(one.kernels_why))
    end
  end
end

local function addConvolutions(page, all)
  local found, kernels, rows = {}, {}, {}
  local function keyOf(one)
    return table.concat({ one.precision, one.direction, one.channels, one.outputs, one.size, one.side }, " ")
  end
  for _, one in ipairs(all) do
    if one.kernels then kernels[keyOf(one)] = one.kernels else found[#found + 1] = one end
  end
  if #found == 0 then return end
  page:heading "Convolutions"
  for _, one in ipairs(found) do
    local names = one.status ~= "fused" and kernels[keyOf(one)] -- those are of the library
    rows[#rows + 1] = { one.precision, ("%dx%d, %d to %d, %dx%d"):format(one.side, one.side, one.channels, one.outputs,
      one.size, one.size), (one.direction:gsub("_", ", ")),
      one.status == "refused" and "**refused**" or one.images ~= one.batch and one.images
        and ("%s: %d images at a time"):format(one.status, one.images) or one.status or "",
      number("%d", one.engine), number("%d", one.workspace_bytes), number("%.1f", one.question_us),
      number("%.1f", one.host_us), number("%.1f", one.device_us), number("%.0f", one.gflop_s),
      names and plain(table.concat(names, ", ")) or "" }
  end
  page:rows({ "precision", "window, channels, image", "direction", "cuDNN", "engine", "workspace bytes",
    "asking, host microseconds", "a call, host microseconds", "GPU microseconds", "GFLOP/s", "kernels" }, rows)
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

-- Of a peer's memory what a step of ours takes.
local function share(own, peer)
  return peer and isNumber(peer.peak_mb) and ("%.0f %%"):format(100 * own.peak_mb / peer.peak_mb) or "an unknown share"
end

local function addPeer(page, peers, ownSteps)
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
    for _, one in ipairs(ownSteps) do
      if fastest and one.netType == "densenet" and one.depth == fastest.depth and one.growthRate == fastest.growth
        and one.batchSize == fastest.batch then
        ours[#ours + 1] = one
      end
    end
    local own = best(ours, OURS[precision], "median_s")
    if own and fastest then
      page:add("- %s (%s, mode %d): %.2f times as fast as the peer's fastest (%s, %s), with %s of its memory, and %s "
        .. "of that of the peer's smallest.", OURS[precision], text.wayOf(own), own.optMemory,
        fastest.median_s / own.median_s, fastest.format, fastest.compile, share(own, fastest), share(own, smallest))
    end
  end
end

--- The page's text.
-- @param directory gpu_check.sh's OUT
return function(directory)
  local page = text.page()
  local device, deviceLines = readPart(directory, "device")
  local ownSteps, stepLines = readPart(directory, "steps")
  local larger, largerLines = readPart(directory, "larger")
  local operations = readPart(directory, "operations")
  local about = ceilingsOf(device)
  local kernels = readPart(directory, "kernels")
  addFacts(page, directory, about, deviceLines)
  addParts(page, directory)
  addCeilings(page, about)
  steps.add(page, "Steps", ownSteps, stepLines, about.copy_gb_s)
  steps.add(page, "Larger networks", larger, largerLines, about.copy_gb_s)
  steps.addUnfused(page, table.move(larger, 1, #larger, #ownSteps + 1, { table.unpack(ownSteps) }))
  steps.addErrors(page, ownSteps)
  addKernels(page, kernels)
  addOperations(page, operations, about.copy_gb_s)
  addConvolutions(page, (readPart(directory, "convolutions")))
  page:list("Specs", select(2, readPart(directory, "specs")))
  local sanitizer = {}
  for _, line in ipairs((select(2, readPart(directory, "sanitizer")))) do
    if line:find("^==") and not line:find("^=========") or line:find "SUMMARY" or line:find("^left out")
      or line:find("^failed") then
      sanitizer[#sanitizer + 1] = line
    end
  end
  page:list("compute-sanitizer", sanitizer)
  addPeer(page, (readPart(directory, "peer")), ownSteps)
  local _, training = readPart(directory, "training")
  page:list("Training", table.move(training, math.max(1, #training - 9), #training, 1, {}))
  return table.concat(page, "\n")
end
