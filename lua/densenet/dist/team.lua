--- Processes that a launcher has started and looks after until the last has ended.
--
-- A team does its work together or not at all. The first member that fails ends it: the others have a while to notice
-- and leave by themselves, then they are asked to (SIGTERM), then they are ended (SIGKILL). An interrupt that the
-- launcher gets (SIGINT, SIGTERM, SIGHUP) goes on to every member, once; what they do about it is theirs.
--
-- Lines on a member's standard error come with its rank before them; those of rank 0, and all that it prints,
-- come as they are.
local core = require "densenet.core"

local Team = {}
Team.__index = Team

local SIGKILL, SIGTERM = 9, 15
local LONGEST_LINE = 65536
local PAUSE, SHORT_PAUSE = 0.1, 0.002

--- Seconds that members have after another one has failed: to leave, and then after SIGTERM.
Team.patience = { leave = 10, term = 5 }

--- Starts all members.
-- @param members { arguments=, environment=, device= } each, of ranks 0, 1, …
-- @param options (optional) { patience=, write=, interrupted= } as Team.patience; function(text) for standard error;
-- as core.interrupted
-- @return team; or nil, message, code, and none of them runs
function Team.start(members, options)
  options = options or {}
  local self = setmetatable({ members = {}, patience = options.patience or Team.patience,
    write = options.write or function(text) io.stderr:write(text) end,
    interrupted = options.interrupted or core.interrupted }, Team)
  for i, wanted in ipairs(members) do
    local environment = { DENSENET_REPORT = ("3:%d"):format((core.process_id())) }
    for name, value in pairs(wanted.environment or {}) do environment[name] = value end
    local child, message, code = core.process_spawn(wanted.arguments, { environment = environment, report = true,
      group = true, parentSignal = SIGKILL, output = i == 1 and "inherit" or "null",
      errors = i == 1 and "inherit" or "pipe" })
    if not child then
      for _, member in ipairs(self.members) do member.child:signal(SIGKILL, true) end
      return nil, message, code
    end
    self.members[i] = { rank = i - 1, child = child, device = wanted.device or "cpu", batches = 0, errors = "",
      report = "", follows = false }
  end
  return self
end

-- Gives `line` each whole line in the member's bytes so far; what is left waits for more, unless it is the end.
local function eachLine(member, stream, bytes, isEnd, line)
  local text = member[stream] .. bytes
  local from = 1
  for content, after in text:gmatch "([^\n]*)\n()" do
    line(content)
    from = after
  end
  local rest = text:sub(from)
  if #rest > 0 and (isEnd or #rest > LONGEST_LINE) then
    line(rest)
    rest = ""
  end
  member[stream] = rest
end

-- What a rank said of itself (densenet.dist.progress).
local function note(self, member, line)
  local word, value = line:match "^(%a+) (.*)$"
  if word == "batches" then
    member.batches = math.tointeger(value) or member.batches
  elseif word == "checkpoint" then
    self.checkpoint = value
  elseif word == "device" then
    member.device = value
  elseif line == "follows" then
    member.follows = true
  end
end

local function drain(member, stream, line)
  while true do
    local bytes = member.child:read(stream)
    if bytes == "" and not member.how then return end
    eachLine(member, stream, bytes or "", not bytes or bytes == "", line)
    if not bytes then
      member[stream .. "Ended"] = true
      return
    elseif bytes == "" then -- a process that it has left behind may hold the pipe
      return
    end
  end
end

local function read(self, member)
  drain(member, "report", function(line) note(self, member, line) end)
  if member.rank > 0 then
    drain(member, "errors", function(line) self.write(("[rank %d] %s\n"):format(member.rank, line)) end)
  end
end

-- Has the member ended otherwise than it was to?
local function hasFailed(self, member)
  if member.how == "exited" and member.number == 0 then return false end
  local status = member.how == "signaled" and 128 + member.number or member.number
  return not (self.signal and status == 128 + self.signal)
end

-- Is a failure nearer to the cause than the one that is known? Members end in the order in which they are seen to, but
-- for those that ended since the last look; there one that a signal ended did not leave because of another.
local function isNearer(member, known, isFresh)
  if not known then return true end
  if known.follows ~= member.follows then return known.follows end
  return isFresh and member.how == "signaled" and known.how == "exited"
end

-- Looks at a member that ran when it was last looked at.
local function look(self, member)
  local how, number = member.child:look()
  member.stoppedBy = how == "stopped" and number or nil
  if how == "runs" or how == "stopped" then return end
  member.how, member.number = how, number
  read(self, member) -- it may have said why
  if not hasFailed(self, member) then return end
  if member.wasSent then
    self.endedByForce = self.endedByForce or member
  elseif isNearer(member, self.failed, self.isFresh) then
    self.failed, self.isFresh = member, true
  end
end

local function signalThose(self, number, which)
  for _, member in ipairs(self.members) do
    if not member.how and (not which or which(member)) then
      member.child:signal(number, true)
      member.wasSent = number
    end
  end
end

local function passInterruptOn(self)
  local count, signal = self.interrupted()
  if count == 0 or self.signal then return end
  self.signal = signal
  for _, member in ipairs(self.members) do member.child:signal(signal) end
end

-- Does any of them know of a failure?
local function isFailing(self)
  if self.failed then return true end
  for _, member in ipairs(self.members) do
    if member.follows then return true end
  end
  return false
end

-- Members that stand still, or have not ended by the time they had, are what the others waited for.
local function noteHung(self, isAll)
  for _, member in ipairs(self.members) do
    if not member.how and not member.follows and not member.hung and (isAll or member.stoppedBy) then
      member.hung = member.stoppedBy and ("was stopped by signal %d"):format(member.stoppedBy) or "did not end"
      self.hung = self.hung or member
    end
  end
end

-- Ends those that are left after a failure, step by step.
local function endOthers(self)
  local now = core.clock()
  if not self.stage then
    self.stage, self.deadline = "leave", now + self.patience.leave
    noteHung(self, false)
    signalThose(self, SIGKILL, function(member) return member.hung end) -- what stands still cannot leave
  elseif now < self.deadline then
    return
  elseif self.stage == "leave" then
    self.stage, self.deadline = "term", now + self.patience.term
    noteHung(self, true)
    signalThose(self, SIGTERM)
  elseif self.stage == "term" then
    self.stage, self.deadline = "kill", math.huge
    signalThose(self, SIGKILL)
  end
end

--- Waits until all have ended.
-- @return the exit status: 0, that of the first failure, or 128 + the signal that interrupted the team
function Team:wait()
  while true do
    local running, pause = {}, PAUSE
    for _, member in ipairs(self.members) do
      if not member.how then
        running[#running + 1] = member.child
        if member.reportEnded then pause = SHORT_PAUSE end -- it is about to end
      end
    end
    if #running == 0 then break end
    core.process_wait(running, pause)
    self.isFresh = false
    for _, member in ipairs(self.members) do
      if not member.how then
        read(self, member)
        look(self, member)
      end
    end
    passInterruptOn(self)
    if isFailing(self) then endOthers(self) end
  end
  for _, member in ipairs(self.members) do member.child:close() end
  self.failed = self.failed or self.endedByForce
  if self.failed then return self.failed.how == "signaled" and 128 + self.failed.number or self.failed.number end
  return self.signal and 128 + self.signal or 0
end

-- 1204 as "1,204"
local function grouped(n)
  local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return text
end

local function about(member, what)
  local batches = member.batches == 0 and "before its first batch was done"
    or ("after %s %s"):format(grouped(member.batches), member.batches == 1 and "batch" or "batches")
  return ("rank %d (%s, pid %d) %s %s"):format(member.rank, member.device, member.child:pid(), what, batches)
end

--- What there is to say about the first failure.
-- @return a sentence or two; nil where none failed
function Team:epitaph()
  local failed = self.failed
  if not failed then return nil end
  local text = about(failed, ("ended with %s %d"):format(failed.how == "signaled" and "signal" or "status",
    failed.number))
  -- What all that failed say is that another one does not answer: that one.
  if failed.follows and self.hung then text = ("%s, and %s"):format(about(self.hung, self.hung.hung), text) end
  local killed = {}
  for _, member in ipairs(self.members) do
    if member.wasSent == SIGKILL then killed[#killed + 1] = tostring(member.rank) end
  end
  text = text .. (#self.members > 1 and "; all others were ended" or "")
  if #killed > 0 then
    text = ("%s, %s %s by force"):format(text, #killed == 1 and "rank" or "ranks", table.concat(killed, ", "))
  end
  return text .. (self.checkpoint and (". The last checkpoint is %s"):format(self.checkpoint) or "")
end

return Team
