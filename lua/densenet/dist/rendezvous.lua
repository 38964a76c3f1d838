--- The bytes that NCCL's ranks are joined by, on their way from one rank to all: from the launcher, by MPI where that
-- has started the ranks, else by TCP from MASTER_ADDR, port MASTER_PORT (src/dn_rendezvous.h).
local core = require "densenet.core"
local launcher = require "densenet.dist.launcher"

local rendezvous = {}

local PORT = 29500 -- torchrun's
local STEP = 0.2 -- seconds

-- Lines "NAME VALUE" by name.
local function linesOf(text)
  local values, names = {}, {}
  for name, value in text:gmatch "([^%s\n]+) ?([^\n]*)" do
    values[name] = value
    names[#names + 1] = name
  end
  return values, names
end

local function with(name, value) return value and ("-%s %s"):format(name, value) or ("without -%s"):format(name) end

--- What is different between two ranks' options.
-- @param own lines "NAME VALUE" of a rank
-- @param first the same of rank 0
-- @param rank its number
-- @return "rank 3 trains with -growthRate 24, rank 0 with 12", for each option that differs
function rendezvous.difference(own, first, rank)
  local mine, names = linesOf(own)
  local theirs, more = linesOf(first)
  for _, name in ipairs(more) do
    if not mine[name] then names[#names + 1] = name end
  end
  local parts = {}
  for _, name in ipairs(names) do
    local a, b = mine[name], theirs[name]
    if a ~= b then
      parts[#parts + 1] = ("rank %d trains %s%s, rank 0 %s"):format(rank, a and "with " or "", with(name, a),
        a and b and "with " .. b or b and "with " .. with(name, b) or "without")
    end
  end
  if #parts > 0 then return table.concat(parts, "; ") end
  return ("rank %d has its options in another order than rank 0"):format(rank)
end

local function hash32(text)
  local hash = 0x811c9dc5
  for i = 1, #text do hash = ((hash ~ text:byte(i)) * 0x01000193) & 0xffffffff end
  return hash
end

local function contentOf(path)
  local file = io.open(path)
  local text = file and file:read "a" or ""
  if file then file:close() end
  return text
end

--- A number that two ranks have in common when they compute on one GPU of one machine; 0 on a CPU.
-- @param device its name
-- @param getenv (optional) as for ranks.find
function rendezvous.seat(device, getenv)
  local number = device:match "^cuda:(%d+)$"
  if not number then return 0 end
  -- Which of the machine's the number means is up to the list of those that are visible.
  local visible, list = (getenv or os.getenv) "CUDA_VISIBLE_DEVICES", {}
  for word in (visible or ""):gmatch "[^,%s]+" do list[#list + 1] = word end
  local machine = contentOf "/proc/sys/kernel/random/boot_id" .. contentOf "/etc/hostname"
  return math.max(1, hash32(machine .. " " .. (list[number + 1] or number)))
end

-- The first machine of a list as Slurm writes it: node[03-07,09],other → node03
local function firstOf(list)
  if not list or list == "" then return nil end
  local before, inside = list:match "^([^,%[]*)%[([^%]]*)%]"
  if before then return before .. inside:match "^[^,%-]*" end
  return list:match "^[^,]+"
end

--- Where rank 0 is found.
-- @param getenv as for ranks.find
-- @return address, port; or nil, message, "usage"
function rendezvous.address(getenv)
  local address = getenv "MASTER_ADDR"
  if not address or address == "" then
    address = firstOf(getenv "SLURM_STEP_NODELIST") or firstOf(getenv "SLURM_JOB_NODELIST")
  end
  if not address then
    return nil, "MASTER_ADDR is not set: the address of rank 0's machine, where the other ranks find it", "usage"
  end
  local text = getenv "MASTER_PORT"
  if not text or text == "" then return address, PORT end
  local port = text:find "^%d+$" and #text < 6 and math.tointeger(tonumber(text))
  if not port or port < 1 or port > 65535 then
    return nil, ("MASTER_PORT: expected 1 to 65535, got '%s'"):format(text), "usage"
  end
  return address, port
end

--- Meets the other ranks at an address.
-- @param wanted { address=, port=, rank=, size=, timeout=, options=, seat=, bytes= }: bytes of rank 0
-- @return rank 0's bytes; or nil, message, code
function rendezvous.meet(wanted)
  local meeting <close>, message, code = core.rendezvous_open(wanted)
  if not meeting then return nil, message, code end
  while true do
    local state, text, why = meeting:step(STEP)
    if not state then return nil, text, why end
    if state == "done" then return text end
    if state == "differs" then
      local sentence = rendezvous.difference(wanted.options or "", text, wanted.rank)
      meeting:complain(sentence)
      return nil, sentence, "usage"
    end
    local count, signal = core.interrupted()
    if count > 0 then return nil, "interrupted", "interrupted", 128 + signal end
  end
end

--- How this process gets the bytes: "launcher", "nccl" (NCCL_COMM_ID, which the library reads by itself), "mpi" or
-- "tcp".
-- @param place as ranks.find gives it
-- @param getenv (optional) as for ranks.find
function rendezvous.way(place, getenv)
  getenv = getenv or os.getenv
  if place.starter == "densenet's launcher" and launcher.rendezvous() then return "launcher" end
  if getenv "NCCL_COMM_ID" then return "nccl" end
  local isMpi = place.isMpi or getenv "PMIX_RANK" ~= nil
  if isMpi and core.comm_engine "mpi" then return "mpi" end
  return "tcp"
end

--- NCCL's bytes by TCP.
-- @param place as ranks.find gives it
-- @param about { device=, timeout=, options= }: options are lines "NAME VALUE" that all ranks have to share
-- @return the bytes; or nil, message, code
function rendezvous.byTcp(place, about)
  local address, port, code = rendezvous.address(os.getenv)
  if not address then return nil, port, code end
  local bytes, message
  if place.rank == 0 then
    bytes, message, code = core.comm_rendezvous "nccl"
    if not bytes then return nil, message, code end
  end
  return rendezvous.meet { address = address, port = port, rank = place.rank, size = place.size,
    timeout = about.timeout, options = about.options, seat = rendezvous.seat(about.device), bytes = bytes }
end

return rendezvous
