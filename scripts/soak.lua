-- Treats main.lua badly and looks whether it keeps its promises: make soak MINUTES=10
--
-- Rounds of three kinds, one after the other, until the time is over:
--   kill    a run is ended by signals at random moments and resumed, again and again
--   fault   one of its file operations fails, or every n-th (spec/support/file_faults.c), and it is resumed
--   mutate  a file of a finished run, or of a data set, is damaged at random and read
-- A run that was ended, or could not write, and is resumed has to end with the files of one that was left in
-- peace, byte for byte. Whatever it reads, main.lua has to end in time, and with a sentence and a status of its
-- own: never a traceback, a signal or a hang. What went wrong is shown with the number of its round, which
-- -first N -rounds 1 repeats, and its directory stays.
local checkout = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"

local command_line = CommandLine.new {
  { title = "Options",
    { name = "minutes", type = "number", default = 1, above = 0, help = "how long" },
    { name = "rounds", type = "integer", default = 0, min = 0, help = "stop after so many rounds; 0: when it is time" },
    { name = "first", type = "integer", default = 1, min = 1, help = "number of the first round" },
    { name = "seed", type = "integer", default = 1, min = 0, help = "of everything random" },
    { name = "kinds", type = "word", default = "all", choices = { "all", "kill", "fault", "mutate" },
      help = "kinds of rounds" },
    { name = "faults", type = "text", shown = "rounds of faults are left out", help = "file_faults.so" },
    { name = "data", type = "text", shown = "where the package puts it", help = "directory of Fashion-MNIST" },
    { name = "directory", type = "text", shown = "a new one in the system's", help = "where the runs save" },
  },
}

-- Runs start in a directory of their own.
local here = program.check(core.directory_real(checkout.root))
local build = program.check(core.directory_real(checkout.build))

local SECONDS = 30 -- more than any of these runs takes
local EPOCHS = 2
local LINE = "-dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 64 -testSize 16 -batchSize 16 -dropRate 0.1 "
  .. "-nThreads 0 -nCores 1 -device cpu -saveEvery 2"
local RESULTS = { "model_2.safetensors", "model_best.safetensors", "optimState_2.safetensors" }

local function shell(format, ...)
  local _, _, status = os.execute(format:format(...))
  return status
end

local function mustShell(...)
  local status = shell(...)
  if status ~= 0 then program.stop(1, ("%s: status %d"):format(string.format(...), status)) end
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local content = file:read("a")
  file:close()
  return content
end

local function write(path, content)
  assert(core.file_write(path, content, {}))
end

local soak = {}

-- ---- Running main.lua ----

-- Runs it. `how` has signal and seconds after which it comes, and environment, all optional. Returns the exit
-- status, as a shell tells it, and stderr.
function soak:main(line, how)
  how = how or {}
  -- Its own memory is limited, so that a hostile number cannot take the machine's.
  local status = shell("cd '%s' && ulimit -v 4000000 && DENSENET_BUILD='%s' %s timeout --preserve-status -s %s %.3f "
    .. "'%s' '%s/main.lua' %s >stdout 2>stderr", self.place, build, how.environment or "", how.signal or "KILL",
    how.seconds or SECONDS, self.interpreter, here, line)
  self.counts.runs = self.counts.runs + 1
  return status, read(self.place .. "/stderr")
end

-- What a run must not do, in words, or nil.
local function offence(status, stderr)
  if stderr:find("traceback", 1, true) then return "a traceback" end
  if status == 137 then return ("no end within %d s"):format(SECONDS) end
  if status > 2 then return ("status %d"):format(status) end
  if status == 0 and stderr ~= "" then return "something on stderr, and status 0" end
  if status > 0 and not stderr:find("^main.lua: [^\n]") then return ("status %d without a sentence"):format(status) end
end

function soak:problem(format, ...)
  self.failure = self.failure or format:format(...)
end

-- The arguments that start a run in `name`, or go on with it.
local function startOrResume(self, name)
  if core.file_exists(self.place .. "/" .. name .. "/latest.json") then
    return ("-resume %s -data '%s'"):format(name, self.data)
  end
  return ("%s -nEpochs %d -save %s -data '%s'"):format(LINE, EPOCHS, name, self.data)
end

-- A run's files, its log without the seconds.
local function resultOf(directory)
  local all = { names = table.concat(core.directory_list(directory) or {}, " ") }
  for _, name in ipairs(RESULTS) do all[name] = read(directory .. "/" .. name) end
  all.log = (read(directory .. "/log.tsv") or ""):gsub("\t[^\t\n]*\t[^\t\n]*\n", "\n")
  return all
end

-- Lets a run come to its end and compares.
local function finish(self, name)
  local status, stderr = self:main(startOrResume(self, name))
  local wrong = offence(status, stderr) or status ~= 0 and ("status %d"):format(status)
  if wrong then return self:problem("left in peace at last: %s: %s", wrong, stderr) end
  local result = resultOf(self.place .. "/" .. name)
  for part, expected in pairs(self.expected) do
    if result[part] ~= expected then
      self:problem("%s is not as in an undisturbed run%s", part, part == "names" and ": " .. result[part] or "")
    end
  end
end

-- ---- Rounds ----

local rounds = {}

function rounds.kill(self)
  for _ = 1, math.random(3, 8) do
    local signal = ({ "KILL", "KILL", "KILL", "TERM", "HUP", "INT" })[math.random(6)]
    local status, stderr = self:main(startOrResume(self, "run"),
      { signal = signal, seconds = self.seconds * (0.02 + math.random()) })
    local expected = ({ KILL = 137, TERM = 143, HUP = 129, INT = 130 })[signal]
    if status == expected then
      self.counts.kills = self.counts.kills + 1
      if signal == "KILL" then self.counts.sigkills = self.counts.sigkills + 1 end
    else
      local wrong = offence(status, stderr) or status ~= 0 and ("status %d"):format(status)
      if wrong then return self:problem("after SIG%s: %s: %s", signal, wrong, stderr) end
      break -- it was done before
    end
  end
  finish(self, "run")
end

function rounds.fault(self)
  for _ = 1, math.random(1, 3) do
    local n = math.random(self.nOperations)
    local isOften = math.random(4) == 1
    local status, stderr = self:main(startOrResume(self, "run"), { environment = ("FAULT_DIRECTORY='%s/run' %s=%d "
      .. "FAULT_ERROR=%s LD_PRELOAD='%s'"):format(self.place, isOften and "FAULT_EVERY" or "FAULT_AT",
      isOften and 1 + n // 4 or n, math.random(2) == 1 and "ENOSPC" or "EIO", self.faults) })
    self.counts.faults = self.counts.faults + 1
    local wrong = offence(status, stderr)
    if wrong then return self:problem("a failing file operation: %s: %s", wrong, stderr) end
  end
  finish(self, "run")
end

-- Numbers and values that stand in for one in JSON.
local HOSTILE = { "1e999", "-1", "0", "99999999999999999999", "9223372036854775807", "1.5", "null", '"x"', "[]", "{}",
  "true", "1e-320", "-0.0", "" }

-- A number of `text` becomes another value.
local function hostileNumber(text)
  local places, from = {}, 1
  while true do
    local first, last = text:find("%-?%d+%.?%d*", from)
    if not first then break end
    places[#places + 1] = { first, last }
    from = last + 1
  end
  if #places == 0 then return text end
  local place = places[math.random(#places)]
  return text:sub(1, place[1] - 1) .. HOSTILE[math.random(#HOSTILE)] .. text:sub(place[2] + 1)
end

-- The same in a safetensors' header: what it says of its tensors, or of the run, which is JSON within a text.
local function hostileHeader(header)
  local first, last = header:find('"densenet":"{.-}"')
  if not first or math.random(2) == 1 then return hostileNumber(header) end
  local about = header:sub(first, last)
  local hostile = about:sub(1, 12) .. hostileNumber(about:sub(13, -2)):gsub('([^\\])"', '%1\\"') .. '"'
  return header:sub(1, first - 1) .. hostile .. header:sub(last + 1)
end

local function randomBytes(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Ways to damage a text; each damages its first 4 KB as often as the rest, for that is where headers are.
local function position(text)
  return math.random(math.random(2) == 1 and math.min(#text, 4096) or #text)
end

local DAMAGES = {
  function(text)
    for _ = 1, math.random(8) do
      local at = position(text)
      text = text:sub(1, at - 1) .. string.char(text:byte(at) ~ 1 << math.random(0, 7)) .. text:sub(at + 1)
    end
    return text
  end,
  function(text) return text:sub(1, position(text) - 1) end,
  function(text)
    local at = position(text)
    return text:sub(1, at) .. randomBytes(math.random(40)) .. text:sub(at + 1)
  end,
  function(text)
    local at = position(text)
    return text:sub(1, at) .. text:sub(at + math.random(200))
  end,
  function(text)
    local at = position(text)
    return text:sub(1, at) .. (math.random(2) == 1 and "\0" or "\255"):rep(math.random(64)) .. text:sub(at + 65)
  end,
}

local function damaged(text, name)
  local isWhole, header, past = pcall(string.unpack, "<s8", text) -- it may be damaged already
  if name:find("safetensors") and isWhole and math.random(2) == 1 then
    return string.pack("<s8", hostileHeader(header)) .. text:sub(past)
  end
  if (name:find("json") or name:find("tsv")) and math.random(2) == 1 then return hostileNumber(text) end
  if #text == 0 then return "x" end
  return DAMAGES[math.random(#DAMAGES)](text)
end

local WAYS = {
  { "run", "latest.json", "-resume run -nEpochs 3" }, { "run", "model_2.safetensors", "-resume run -nEpochs 3" },
  { "run", "optimState_2.safetensors", "-resume run -nEpochs 3" }, { "run", "log.tsv", "-resume run -nEpochs 3" },
  { "run", "model_best.safetensors", "-resume run -nEpochs 3" },
  { "run", "model_2.safetensors", "-resume run/model_2.safetensors -nEpochs 3" },
  { "run", "model_best.safetensors", "-retrain run/model_best.safetensors -testOnly true -testSize 16" },
  { "run", "model_best.safetensors", LINE:gsub("%-depth 10 %-growthRate 4", "") .. " -retrain "
    .. "run/model_best.safetensors -nEpochs 1 -save other" },
  { "run", "optimState_2.safetensors", LINE .. " -retrain run/model_2.safetensors -optimState "
    .. "run/optimState_2.safetensors -nEpochs 1 -save other" },
  { "data", "t10k-labels-idx1-ubyte", LINE .. " -nEpochs 1 -save other" },
  { "data", "t10k-images-idx3-ubyte", LINE .. " -nEpochs 1 -save other" },
  { "data", "train-labels-idx1-ubyte", LINE .. " -nEpochs 1 -save other" },
  { "data", "t10k-labels-idx1-ubyte.gz", LINE .. " -nEpochs 1 -save other" },
}

function rounds.mutate(self)
  local folder, name, line = table.unpack(WAYS[math.random(#WAYS)])
  mustShell("cp -r '%s/expected/run' '%s/run' && mkdir '%s/data' && ln -s '%s'/* '%s/data'", self.directory, self.place,
    self.place, self.data, self.place)
  local path = ("%s/%s/%s"):format(self.place, folder, name)
  if name:find("%.gz$") then
    mustShell("gzip -c '%s' >'%s' && rm '%s'", path:gsub("%.gz$", ""), path, (path:gsub("%.gz$", "")))
  end
  local text = read(path)
  os.remove(path)
  for _ = 1, math.random(3) do text = damaged(text, name) end
  write(path, text)
  self.counts.mutated = self.counts.mutated + 1
  local status, stderr = self:main(("%s -data '%s/data'"):format(line, self.place))
  local wrong = offence(status, stderr)
  if wrong then self:problem("%s damaged, main.lua %s: %s: %s", name, line, wrong, stderr) end
end

-- ---- The whole ----

function soak:prepare(options)
  self.directory = options.directory or os.tmpname()
  if not options.directory then os.remove(self.directory) end
  assert(core.directory_make(self.directory))
  self.directory = core.directory_real(self.directory)
  self.interpreter = arg[-1] or "lua5.4"
  self.faults = options.faults and program.check(core.directory_real(options.faults))
  self.counts = { runs = 0, kills = 0, sigkills = 0, faults = 0, mutated = 0, rounds = 0, problems = 0 }
  -- Unpacked, so that a run takes no time for it.
  self.data = self.directory .. "/images"
  assert(core.directory_make(self.data))
  local from = options.data or os.getenv "FASHION_MNIST_DIR" or "/usr/share/datasets/fashion-mnist"
  for _, base in ipairs { "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1" } do
    local path = ("%s/%s-ubyte"):format(from, base)
    local isPacked = not core.file_exists(path)
    local content = isPacked and program.check(core.file_gunzip(path .. ".gz")) or read(path)
    local to = ("%s/%s-ubyte"):format(self.data, base)
    assert(core.file_write(to, isPacked and "" or content, isPacked and { content } or {}))
  end
  self.place = self.directory .. "/expected"
  assert(core.directory_make(self.place))
  local report = self.directory .. "/operations"
  local environment = self.faults and ("FAULT_DIRECTORY='%s/run' FAULT_REPORT='%s' LD_PRELOAD='%s'"):format(self.place,
    report, self.faults)
  local status, stderr = self:main(startOrResume(self, "run"), { environment = environment })
  if status ~= 0 then program.stop(1, "an undisturbed run fails: " .. stderr) end
  local started = core.clock()
  self:main(startOrResume(self, "again"))
  self.seconds = core.clock() - started
  self.nOperations = math.tointeger(tonumber(read(report)) or 0)
  self.expected = resultOf(self.place .. "/run")
end

function soak:round(kind, number, seed)
  math.randomseed(seed, number)
  self.place = ("%s/round-%d"):format(self.directory, number)
  assert(core.directory_make(self.place))
  self.failure = nil
  rounds[kind](self)
  self.counts.rounds = self.counts.rounds + 1
  if not self.failure then return mustShell("rm -rf '%s'", self.place) end
  self.counts.problems = self.counts.problems + 1
  print(("round %d (%s, in %s): %s"):format(number, kind, self.place, (self.failure:gsub("\n.*", ""))))
end

local function main()
  local options, why = command_line:parse(arg)
  if not options then program.refuse(why) end
  if options.kinds == "fault" and not options.faults then program.refuse("-kinds fault needs -faults FILE") end
  if options.help then return print("lua scripts/soak.lua [-option value ...]\n" .. command_line:help()) end
  soak:prepare(options)
  local kinds = { "kill", "fault", "mutate", "mutate" }
  local started, number = core.clock(), options.first
  while core.clock() - started < 60 * options.minutes
    and (options.rounds == 0 or number < options.first + options.rounds) do
    local kind = options.kinds == "all" and kinds[1 + number % #kinds] or options.kinds
    if kind ~= "fault" or soak.faults then soak:round(kind, number, options.seed) end
    number = number + 1
  end
  local counts = soak.counts
  print(core.format("seed %d, %.1f minutes: %d rounds, %d runs of main.lua; ended by a signal %d times (SIGKILL %d); "
    .. "%d runs with failing file operations; %d damaged files; %d problems", options.seed,
    (core.clock() - started) / 60, counts.rounds, counts.runs, counts.kills, counts.sigkills, counts.faults,
    counts.mutated, counts.problems))
  if counts.problems > 0 then return 1 end
  if not options.directory then mustShell("rm -rf '%s'", soak.directory) end
end

os.exit(program.run("soak.lua", "usage: lua scripts/soak.lua [-option value ...]      (--help lists the options)",
  main), true)
