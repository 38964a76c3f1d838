-- Which rank a process is, from what those who start several say.
local ranks = require "densenet.dist.ranks"

local function environment(values)
  return function(name) return values[name] and tostring(values[name]) end
end

local function find(values, options) return ranks.find(options, environment(values)) end

local sets = {
  { "DENSENET_RANK", "DENSENET_SIZE", "DENSENET_LOCAL_RANK" },
  { "RANK", "WORLD_SIZE", "LOCAL_RANK" },
  { "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK" },
  { "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID" },
  { "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID" },
}

describe("a process's rank", function()
  it("is 0 of 1 where nobody says another", function()
    assert.same({ rank = 0, size = 1, localRank = 0, isMpi = false }, find {})
    assert.same(1, find({ RANK = "", WORLD_SIZE = "", LOCAL_RANK = "" }).size)
  end)

  it("comes from each who starts several", function()
    for _, names in ipairs(sets) do
      local place = assert(find { [names[1]] = 5, [names[2]] = 8, [names[3]] = 1 })
      assert.same({ 5, 8, 1, names[3] }, { place.rank, place.size, place.localRank, place.localName })
      assert.equal(names[1]:find("MPI") ~= nil or names[1]:find("PMI") ~= nil, place.isMpi)
    end
  end)

  it("comes from the first of them, options before all", function()
    local all = {}
    for i = #sets, 1, -1 do
      all[sets[i][1]], all[sets[i][2]], all[sets[i][3]] = i, 10 + i, 0
      local place = assert(find(all))
      assert.same({ i, 10 + i }, { place.rank, place.size })
    end
    local place = assert(find(all, { rank = 0, size = 3 }))
    assert.same({ 0, 3, 0 }, { place.rank, place.size, place.localRank })
  end)

  it("is the local one's own where options say the rank", function()
    assert.equal(2, find({ LOCAL_RANK = 2 }, { rank = 6, size = 8 }).localRank)
    assert.equal(1, find({ LOCAL_RANK = 2, DENSENET_LOCAL_RANK = 1 }, { rank = 6, size = 8 }).localRank)
    assert.equal(0, find({}, { rank = 1, size = 2 }).localRank)
  end)

  it("is refused where half a set is there, naming what is missing", function()
    local function refused(expected, values, options)
      local place, message, code = find(values, options)
      assert.same({ nil, expected, "usage" }, { place, message, code })
    end
    refused("RANK is set, WORLD_SIZE and LOCAL_RANK are not: torchrun sets all of RANK, WORLD_SIZE, LOCAL_RANK",
      { RANK = 1 })
    refused("RANK and WORLD_SIZE are set, LOCAL_RANK is not: torchrun sets all of RANK, WORLD_SIZE, LOCAL_RANK",
      { RANK = 1, WORLD_SIZE = 2 })
    refused("RANK and LOCAL_RANK are set, WORLD_SIZE is not: torchrun sets all of RANK, WORLD_SIZE, LOCAL_RANK",
      { RANK = 1, LOCAL_RANK = 0, OMPI_COMM_WORLD_RANK = 0, OMPI_COMM_WORLD_SIZE = 2, OMPI_COMM_WORLD_LOCAL_RANK = 0 })
    refused("PMI_RANK is set, PMI_SIZE is not: MPICH sets all of PMI_RANK, PMI_SIZE", { PMI_RANK = 1 })
    refused("SLURM_PROCID and SLURM_LOCALID are set, SLURM_NTASKS is not: srun sets all of SLURM_PROCID, SLURM_NTASKS, "
      .. "SLURM_LOCALID", { SLURM_PROCID = 1, SLURM_LOCALID = 0 })
    refused("-rank is given, -size is not: a rank among several takes both", {}, { rank = 0 })
    refused("-size is given, -rank is not: a rank among several takes both", {}, { size = 2 })
  end)

  it("is refused where it is no number, or not below the size", function()
    local function refused(expected, values, options)
      assert.same({ nil, expected, "usage" }, { find(values, options) })
    end
    refused("RANK is 2, and WORLD_SIZE is 2: ranks count from 0 to 1", { RANK = 2, WORLD_SIZE = 2, LOCAL_RANK = 0 })
    refused("-rank is 4, and -size is 4: ranks count from 0 to 3", {}, { rank = 4, size = 4 })
    refused("RANK: expected a whole number of at least 0, got 'one'", { RANK = "one", WORLD_SIZE = 2, LOCAL_RANK = 0 })
    refused("RANK: expected a whole number of at least 0, got '-1'", { RANK = "-1", WORLD_SIZE = 2, LOCAL_RANK = 0 })
    refused("WORLD_SIZE: expected at least 1, got 0", { RANK = 0, WORLD_SIZE = 0, LOCAL_RANK = 0 })
    refused("LOCAL_RANK: expected a whole number of at least 0, got '0x1'", { RANK = 0, WORLD_SIZE = 2,
      LOCAL_RANK = "0x1" })
    refused("WORLD_SIZE: expected a whole number of at least 1, got '99999999999999999999'", { RANK = 0,
      WORLD_SIZE = "99999999999999999999", LOCAL_RANK = 0 })
    refused("SLURM_LOCALID: expected a whole number of at least 0, got 'x'", { PMI_RANK = 0, PMI_SIZE = 2,
      SLURM_LOCALID = "x" })
  end)

  it("of MPICH may lack its local number, which Slurm may know", function()
    local place = assert(find { PMI_RANK = 1, PMI_SIZE = 2 })
    assert.same({ 1, 2, nil }, { place.rank, place.size, place.localRank })
    assert.equal(3, find({ PMI_RANK = 3, PMI_SIZE = 8, SLURM_LOCALID = 3 }).localRank)
    assert.equal(1, find({ MPI_LOCALRANKID = 0 }).size)
  end)

  it("is none in an allocation of Slurm without srun", function()
    assert.equal(1, find({ SLURM_JOB_ID = 7, SLURM_PROCID = 0, SLURM_NTASKS = 4, SLURM_LOCALID = 0 }).size)
    assert.equal(1, find({ SLURM_JOB_ID = 7, SLURM_NTASKS = 4 }).size)
    assert.equal(4, find({ SLURM_JOB_ID = 7, SLURM_STEP_ID = 0, SLURM_PROCID = 0, SLURM_NTASKS = 4,
      SLURM_LOCALID = 0 }).size)
  end)
end)

describe("a rank's GPU", function()
  local function gpu(localRank, n, visible)
    return ranks.gpu({ rank = 5, localRank = localRank, localName = "LOCAL_RANK" }, n,
      environment { CUDA_VISIBLE_DEVICES = visible })
  end

  it("has the local rank's number", function()
    assert.equal("cuda:0", gpu(0, 1))
    assert.equal("cuda:3", gpu(3, 4))
  end)

  it("is the only one that each process is shown", function()
    assert.equal("cuda:0", gpu(3, 1, "6"))
    assert.equal("cuda:1", gpu(1, 2, "6,7"))
  end)

  it("is refused where there is none", function()
    assert.same({ nil, "LOCAL_RANK is 4, and this machine has 4 GPUs, cuda:0 to cuda:3", "device" }, { gpu(4, 4) })
    assert.same({ nil, "LOCAL_RANK is 1, and this machine has one GPU, cuda:0", "device" }, { gpu(1, 1) })
    assert.same({ nil, "4 processes are to have a GPU each, and this machine has 2 GPUs, cuda:0 to cuda:1", "device" },
      { ranks.gpu({ rank = 2, size = 4, localRank = 2, localName = "DENSENET_LOCAL_RANK" }, 2, environment {}) })
    assert.same({ nil, "LOCAL_RANK is 0, and this machine has no GPU", "device" }, { gpu(0, 0) })
    assert.same({ nil, "LOCAL_RANK is not set, so which GPU rank 5 computes on is not known; set it, or say "
      .. "-device cuda:N", "device" }, { gpu(nil, 2) })
  end)

  it("is no other rank's of the machine", function()
    assert.is_nil(ranks.clash { 7, 8, 9 })
    assert.is_nil(ranks.clash { 0, 0 })
    assert.equal("ranks 1 and 3 compute on one GPU of one machine: each needs its own (LOCAL_RANK counts the ranks "
      .. "of a machine)", ranks.clash { 7, 8, 9, 8 })
  end)
end)
