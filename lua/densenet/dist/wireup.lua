--- What makes processes of one machine ranks of MPI, without mpirun being their parent.
--
-- mpirun ends ranks in its own way and its own time, and its messages are not about them. So it is given
-- placeholders to start: shells that hand over the variables they got and wait. The launcher starts the ranks
-- itself with these variables, sees how each ends, and mpirun stays behind to answer their questions, Open MPI's by
-- PMIx, MPICH's by PMI over a port.
--
-- Placeholders find the launcher's pipes in /proc, so this is for Linux.
local core = require "densenet.core"

local wireup = {}
wireup.__index = wireup

local SECONDS = 60 -- for mpirun to start a few shells
local PLACEHOLDER = 'env -0 > "$1" && read -r end < "$2"; exit 0'

-- By the first word of what mpi.so was built with.
local kinds = {
  ["Open MPI"] = {
    commands = { "mpirun.openmpi", "mpirun", "orterun" }, package = "openmpi-bin",
    isIt = function(text) return text:match "%(Open MPI%) (%S+)" or text:match "%(Open RTE%) (%S+)" end,
    -- isolated: this machine only, so no ssh is looked for
    options = { "--oversubscribe", "--bind-to", "none", "--mca", "plm", "isolated", "--mca", "oob_tcp_if_include",
      "lo" },
    root = "--allow-run-as-root",
    -- Ranks of one machine talk through memory that they share. Reading each other's own is faster, and what containers
    -- forbid, in lines on the standard error.
    environment = { OMPI_MCA_btl = "self,vader", OMPI_MCA_btl_vader_single_copy_mechanism = "none" },
  },
  MPICH = {
    commands = { "mpirun.mpich", "mpiexec.hydra", "mpirun", "mpiexec" }, package = "mpich",
    isIt = function(text) return text:find("HYDRA", 1, true) and text:match "Version:%s*(%S+)" end,
    options = { "-pmi-port", "-iface", "lo", "-launcher", "fork", "-bind-to", "none" },
    environment = {},
  },
}

-- What a command prints, or nil.
local function outputOf(arguments)
  local child = core.process_spawn(arguments, { output = "pipe", errors = "null", parentSignal = 9 })
  if not child then return nil end
  local parts, deadline = {}, core.clock() + SECONDS
  while core.clock() < deadline do
    local bytes = child:read "output"
    if not bytes then break end
    parts[#parts + 1] = bytes
    core.process_wait({ child }, 0.1)
  end
  while child:look() == "runs" and core.clock() < deadline do core.process_wait({}, 0.002) end
  child:signal(9)
  child:close()
  return table.concat(parts)
end

-- The kind of MPI, and the command of its mpirun; or nil, message, code.
local function find(builtWith)
  local name, version = builtWith:match "^(.-) (%d+)"
  local kind = kinds[name]
  if not kind then
    return nil, ("mpi.so was built with %s, whose mpirun is not known here: start the ranks by it, as mpirun -np N lua "
      .. "main.lua ..."):format(builtWith), "unsupported"
  end
  local given = os.getenv "DENSENET_MPIRUN"
  local seen = {}
  for _, command in ipairs(given and { given } or kind.commands) do
    local text = outputOf { command, "--version" }
    local found = text and kind.isIt(text)
    if found and found:match "^%d+" == version then return kind, command end
    if text then seen[#seen + 1] = command .. (found and " of " .. name .. " " .. found or " of another MPI") end
  end
  return nil, ("no mpirun of %s, which mpi.so was built with (%s); install it (Debian, Ubuntu: apt-get install %s)")
    :format(builtWith, #seen > 0 and "there is " .. table.concat(seen, ", ")
      or given and "DENSENET_MPIRUN is " .. given or "none in PATH", kind.package), "unsupported"
end

local function isRoot()
  local text = outputOf { "id", "-u" }
  return text ~= nil and text:find "^0%s" ~= nil
end

local OWN = { PWD = true, OLDPWD = true, SHLVL = true, _ = true }

-- What a placeholder's environment has beside this process's.
local function changesIn(bytes)
  local changes = {}
  for name, value in bytes:gmatch "([^=%z]+)=([^%z]*)%z" do
    if not OWN[name] and os.getenv(name) ~= value then changes[name] = value end
  end
  return changes
end

-- mpirun's own words: the first line that is one.
local function firstWords(text)
  for line in text:gmatch "[^\n]+" do
    if line:find "%a" then return (line:gsub("^%s+", "")) end
  end
  return "it said nothing"
end

-- One command line for all: each placeholder has a pipe of its own to write to.
local function commandLine(self, command, kind)
  local line = { command, table.unpack(kind.options) }
  if kind.root and isRoot() then line[#line + 1] = kind.root end
  for i, pipe in ipairs(self.pipes) do
    if i > 1 then line[#line + 1] = ":" end
    for _, word in ipairs { "-np", "1", "sh", "-c", PLACEHOLDER, "sh", pipe:path(2), self.hold:path(1) } do
      line[#line + 1] = word
    end
  end
  return line
end

local function openPipes(self, n)
  local message, code
  self.hold, message, code = core.process_pipe()
  for i = 1, self.hold and n or 0 do
    self.pipes[i], message, code = core.process_pipe()
    if not self.pipes[i] then break end
  end
  if #self.pipes < n then return nil, message, code end
  return true
end

-- Has the environment in `bytes` come as a whole? `env -0` writes it at once, longer ones in pieces, and closes.
local function collect(self)
  local texts, said, isWhole = {}, "", {}
  for i in ipairs(self.pipes) do texts[i] = "" end
  local deadline, nWhole = core.clock() + SECONDS, 0
  while nWhole < #self.pipes do
    local waited = { self.mpirun, table.unpack(self.pipes) }
    core.process_wait(waited, 0.1)
    for _, stream in ipairs { "output", "errors" } do said = said .. (self.mpirun:read(stream) or "") end
    local how = self.mpirun:look()
    for i, pipe in ipairs(self.pipes) do
      local bytes = pipe:read()
      texts[i] = texts[i] .. (bytes or "")
      -- This process's own writing end is open until the placeholder has written.
      if #texts[i] > 0 and bytes ~= nil then pipe:closeEnd(2) end
      if not bytes and not isWhole[i] then
        isWhole[i] = true
        nWhole = nWhole + 1
      end
    end
    if how ~= "runs" then return nil, firstWords(said) end
    if core.clock() > deadline then return nil, ("nothing within %d s; %s"):format(SECONDS, firstWords(said)) end
  end
  return texts
end

--- Starts mpirun with placeholders.
-- @param n how many ranks
-- @param builtWith what mpi.so was built with, from core.comm_engine "mpi"
-- @return wireup: `environments`, a table of variables for each rank, and stop(); or nil, message, code
function wireup.start(n, builtWith)
  local kind, command, code = find(builtWith)
  if not kind then return nil, command, code end
  local self = setmetatable({ pipes = {} }, wireup)
  local done, message
  done, message, code = openPipes(self, n)
  if not done then return nil, message, code end
  self.mpirun, message, code = core.process_spawn(commandLine(self, command, kind),
    { output = "pipe", errors = "pipe", group = true, parentSignal = 15 })
  if not self.mpirun then return nil, message, code end
  local texts
  texts, message = collect(self)
  if not texts then
    self:stop()
    return nil, ("%s of %s did not start %d ranks: %s"):format(command, builtWith, n, message), "device"
  end
  self.environments = {}
  for i, text in ipairs(texts) do
    local environment = changesIn(text)
    for name, value in pairs(kind.environment) do
      if not os.getenv(name) then environment[name] = value end
    end
    self.environments[i] = environment
  end
  return self
end

--- Lets mpirun and its placeholders end; those that do not within two seconds are ended.
function wireup:stop()
  for _, pipe in ipairs(self.pipes) do pipe:close() end
  self.hold:close()
  local deadline = core.clock() + 2
  while self.mpirun:look() == "runs" and core.clock() < deadline do
    core.process_wait({ self.mpirun }, 0.02)
    for _, stream in ipairs { "output", "errors" } do self.mpirun:read(stream) end
  end
  self.mpirun:signal(9, true)
  while self.mpirun:look() == "runs" do core.process_wait({}, 0.01) end
  self.mpirun:close()
end

return wireup
