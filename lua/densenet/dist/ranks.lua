--- Which rank of how many this process is, as those who start several processes say it: options, our own
-- launcher, torchrun, Open MPI, MPICH and what descends from it, Slurm; the first of them that says anything.
-- Ranks count from 0.
--
-- Half of what one of them says is an error, not a rank: a process that guesses the rest would train alone,
-- or wait for others that never come.
local ranks = {}

-- By precedence. `set`: all of them are said together. localRank may be unknown where `mayLack` is true: it
-- is then needed for GPUs only. `also` says the local rank where the set's own variable does not.
local starters = {
  { title = "densenet's launcher", rank = "DENSENET_RANK", size = "DENSENET_SIZE", localRank = "DENSENET_LOCAL_RANK" },
  { title = "torchrun", rank = "RANK", size = "WORLD_SIZE", localRank = "LOCAL_RANK" },
  { title = "Open MPI", rank = "OMPI_COMM_WORLD_RANK", size = "OMPI_COMM_WORLD_SIZE",
    localRank = "OMPI_COMM_WORLD_LOCAL_RANK", isMpi = true },
  { title = "MPICH", rank = "PMI_RANK", size = "PMI_SIZE", localRank = "MPI_LOCALRANKID", also = "SLURM_LOCALID",
    mayLack = true, isMpi = true },
  { title = "srun", rank = "SLURM_PROCID", size = "SLURM_NTASKS", localRank = "SLURM_LOCALID", isSlurm = true },
}

-- The number in a variable; nil where it is not set; or nil and a sentence.
local function number(getenv, name, least)
  local text = getenv(name)
  if not text or text == "" then return nil end
  local value = text:find("^%d+$") and #text < 10 and math.tointeger(tonumber(text))
  if not value then
    return nil, ("%s: expected a whole number of at least %d, got '%s'"):format(name, least, text)
  end
  if value < least then return nil, ("%s: expected at least %d, got %d"):format(name, least, value) end
  return value
end

-- A script that sbatch runs, and a shell of salloc, have variables of a task without being one of several.
local function isAllocationOnly(starter, getenv)
  return starter.isSlurm and getenv "SLURM_JOB_ID" and not getenv "SLURM_STEP_ID" and not getenv "SLURM_STEPID"
end

-- What is wrong with a rank and a size, or nil.
local function complaint(rankName, rank, sizeName, size)
  if rank < size then return nil end
  return ("%s is %d, and %s is %d: ranks count from 0 to %d"):format(rankName, rank, sizeName, size, size - 1)
end

-- "A and B are set, C is not", for names that belong together; nil where all are there.
local function half(names, isSet)
  local there, missing = {}, {}
  for _, name in ipairs(names) do table.insert(isSet[name] and there or missing, name) end
  if #missing == 0 then return nil end
  return ("%s %s set, %s %s not"):format(table.concat(there, " and "), #there == 1 and "is" or "are",
    table.concat(missing, " and "), #missing == 1 and "is" or "are")
end

-- What one starter says: a place; false where it says nothing; or nil and a sentence.
local function ask(starter, getenv)
  if isAllocationOnly(starter, getenv) then return false end
  local values, names = {}, { starter.rank, starter.size, starter.localRank }
  for _, name in ipairs(names) do
    local value, message = number(getenv, name, name == starter.size and 1 or 0)
    if message then return nil, message end
    values[name] = value
  end
  if next(values) == nil then return false end
  if starter.mayLack and not values[starter.localRank] then
    names[3] = nil
    if not values[starter.rank] and not values[starter.size] then return false end
  end
  -- Only the local rank: others set it for reasons of their own.
  if not values[starter.rank] and not values[starter.size] and starter.isMpi then return false end
  local message = half(names, values)
  if message then
    return nil, ("%s: %s sets all of %s"):format(message, starter.title, table.concat(names, ", "))
  end
  local rank, size, localRank = values[starter.rank], values[starter.size], values[starter.localRank]
  message = complaint(starter.rank, rank, starter.size, size)
  if message then return nil, message end
  local localName = starter.localRank
  if not localRank and starter.also then
    localRank, message = number(getenv, starter.also, 0)
    if message then return nil, message end
    localName = localRank and starter.also or localName
  end
  return { rank = rank, size = size, localRank = localRank, localName = localName, starter = starter.title,
    isMpi = starter.isMpi or false }
end

-- What -rank and -size say. Their local rank is in the environment, or 0: one process a machine.
local function askOptions(rank, size, getenv)
  if rank == nil and size == nil then return false end
  if rank == nil or size == nil then
    return nil, ("-%s is given, -%s is not: a rank among several takes both"):format(rank and "rank" or "size",
      rank and "size" or "rank")
  end
  local message = complaint("-rank", rank, "-size", size)
  if message then return nil, message end
  for _, name in ipairs { "DENSENET_LOCAL_RANK", "LOCAL_RANK" } do
    local localRank
    localRank, message = number(getenv, name, 0)
    if message then return nil, message end
    if localRank then
      return { rank = rank, size = size, localRank = localRank, localName = name, starter = "-rank and -size",
        isMpi = false }
    end
  end
  return { rank = rank, size = size, localRank = 0, localName = "-rank", starter = "-rank and -size", isMpi = false }
end

--- Which rank this process is.
-- @param options (optional) { rank=, size= } as options said them
-- @param getenv (optional) function(name) → text or nil; os.getenv when left out
-- @return { rank=, size=, localRank=, localName=, starter=, isMpi= }: localRank, of this machine's processes, is nil
-- where nobody says it; localName is the variable that says it; starter is a word for messages; isMpi is true where
-- mpirun started the process. A process that nobody started as one of several is rank 0 of 1, starter nil. Or nil,
-- message, "usage": half a set, no number, a rank that is not below the size
function ranks.find(options, getenv)
  options, getenv = options or {}, getenv or os.getenv
  local place, message = askOptions(options.rank, options.size, getenv)
  for _, starter in ipairs(starters) do
    if place == nil then return nil, message, "usage" end
    if place then return place end
    place, message = ask(starter, getenv)
  end
  if place == nil then return nil, message, "usage" end
  return place or { rank = 0, size = 1, localRank = 0, isMpi = false }
end

-- Do schedulers show each process a GPU of its own?
local function seesOneOnly(getenv)
  local visible = getenv "CUDA_VISIBLE_DEVICES"
  return visible ~= nil and visible ~= "" and not visible:find(",", 1, true)
end

--- The GPU of a rank: as many as its local rank; the only one where the environment shows each process one.
-- @param place as find gives it
-- @param nGPUs how many GPUs this process sees
-- @param getenv (optional) as for find
-- @return "cuda:N"; or nil, message, "device"
function ranks.gpu(place, nGPUs, getenv)
  getenv = getenv or os.getenv
  local localRank = place.localRank
  if nGPUs == 1 and seesOneOnly(getenv) then localRank = 0 end
  if not localRank then
    return nil, ("%s is not set, so which GPU rank %d computes on is not known; set it, or say -device cuda:N"):format(
      place.localName, place.rank), "device"
  end
  if localRank < nGPUs then return ("cuda:%d"):format(localRank) end
  local there = nGPUs == 0 and "no GPU" or nGPUs == 1 and "one GPU, cuda:0"
    or ("%d GPUs, cuda:0 to cuda:%d"):format(nGPUs, nGPUs - 1)
  if place.localName == "DENSENET_LOCAL_RANK" then
    return nil, ("%d processes are to have a GPU each, and this machine has %s"):format(place.size, there), "device"
  end
  return nil, ("%s is %d, and this machine has %s"):format(place.localName, localRank, there), "device"
end

--- Do two ranks compute on one GPU of one machine?
-- @param seats of rank 0, 1, …: numbers as densenet.dist.rendezvous.seat gives them
-- @return nil, or a sentence
function ranks.clash(seats)
  local first = {}
  for i, seat in ipairs(seats) do
    local other = seat ~= 0 and first[seat]
    if other then
      return ("ranks %d and %d compute on one GPU of one machine: each needs its own (LOCAL_RANK counts the ranks of a "
        .. "machine)"):format(other, i - 1)
    end
    first[seat] = i - 1
  end
end

return ranks
