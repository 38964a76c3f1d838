-- Feeds damaged files to every reader of foreign bytes, built with the sanitizers: make fuzz N=100000
--
-- Each file is a golden one, changed in a few places, and number K of a reader is the same file each time
-- (fuzz_mutator.lua). A reader has to take it or to give nil, a sentence and a code: never raise, take memory that
-- a lying header asks for, keep memory, or go on for long. What the sanitizers find ends the process; the file
-- `current` in the working directory then names reader and number, and
--
--   build/asan/lua scripts/fuzz.lua -reader NAME -first NUMBER -files 1 -keep FILE
--
-- repeats it and writes the file that does it.
local checkout = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local mutator = require "fuzz_mutator"
local program = require "densenet.train.program"
local readers = require "fuzz_readers"

local names = { "all" }
for _, reader in ipairs(readers) do names[#names + 1] = reader.name end

local commandLine = CommandLine.new {
  { title = "Options",
    { name = "files", type = "integer", default = 0, min = 0,
      help = "files for each reader; 0: as many as the time allows" },
    { name = "minutes", type = "number", default = 5, above = 0,
      help = "how long, all readers together, without -files" },
    { name = "reader", type = "word", default = "all", choices = names, help = "which one" },
    { name = "first", type = "integer", default = 1, min = 1, help = "number of the first file" },
    { name = "seed", type = "integer", default = 1, min = 0, help = "of everything random" },
    { name = "golden", type = "text", shown = "none",
      help = "a directory with further files to damage, in directories by reader's name" },
    { name = "keep", type = "text", shown = "none", help = "write the last file here" },
    { name = "directory", type = "text", default = "build/fuzz", help = "where files go that something is wrong with" },
  },
}

local CODES = { io = true, format = true, unsupported = true }
local MOST_MEMORY = 256 << 20 -- of tensors: more than any of these small files can mean
local SLOW = 10 -- seconds for a file
local CHECKED_EACH = 1000 -- files between two looks at the memory that is left
local MOST_FINDINGS = 20 -- of a reader

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("a")
  file:close()
  return content
end

-- Contents of the golden files of a reader, in the order of their names.
local function seedsOf(reader, golden)
  local list = {}
  local function add(pattern)
    local pipe = assert(io.popen("ls -d " .. pattern .. " 2>/dev/null"))
    for path in pipe:lines() do list[#list + 1] = read(path) end
    pipe:close()
  end
  for _, pattern in ipairs(reader.seeds) do add("'" .. checkout.root .. "'/" .. pattern) end
  if golden then add("'" .. golden .. "'/" .. reader.name .. "/*") end
  for _, content in ipairs(reader.make and reader.make() or {}) do list[#list + 1] = content end
  return list
end

-- What is wrong with what a reader gave, or nil.
local function complaint(ok, value, message, code)
  if not ok then return "raised: " .. tostring(value) end
  if value ~= nil then return nil end
  if type(message) ~= "string" or message == "" then return "gave nil and no sentence" end
  if not CODES[code] then return ("gave the code %s (%s)"):format(tostring(code), message) end
end

-- What is wrong with how a reader treats a file, or nil; and whether it takes the file.
local function tried(reader, content, asFile)
  local began = os.clock() -- of the processor: others may use the machine
  local result = table.pack(pcall(reader.read, content, asFile))
  local seconds = os.clock() - began
  local wrong = complaint(table.unpack(result, 1, 4))
    or seconds > SLOW and ("took %.0f seconds"):format(seconds) or nil
  return wrong, not wrong and result[2] ~= nil
end

-- Number `number` of the damaged files of a reader.
local function contentOf(reader, seeds, seed, number)
  local pick = mutator.source(seed, number)
  local content = mutator.mutate(seeds[pick(#seeds)], pick, seeds)
  return reader.repair and pick(2) == 1 and reader.repair(content) or content
end

local function run(reader, opt, current)
  local seeds = seedsOf(reader, opt.golden)
  if #seeds == 0 then return print(("%-14s left out: there are no files to damage"):format(reader.name)) end
  local path = opt.directory .. "/" .. reader.name .. ".file"
  local content
  local function asFile()
    os.remove(path) -- a file that is cut and written again is flushed at once by some file systems
    local file = assert(io.open(path, "wb"))
    file:write(content)
    file:close()
    return path
  end
  local findings, taken = 0, 0
  local function found(number, what)
    findings = findings + 1
    local kept = ("%s/found-%s-%d"):format(opt.directory, reader.name, number)
    assert(core.file_write(kept, content, {}))
    io.stderr:write(("%s %d: %s\n  the file is %s\n"):format(reader.name, number, what, kept))
  end

  content = seeds[1]
  if select(4, pcall(reader.read, content, asFile)) == "unsupported" then
    return print(("%-14s left out: this build reads no such files"):format(reader.name))
  end
  collectgarbage()
  local before, start = core.memory("cpu").live, core.clock()
  local deadline = start + 60 * opt.minutes / (opt.reader == "all" and #readers or 1)
  local number = opt.first - 1
  while opt.files == 0 and core.clock() < deadline or number < opt.first + opt.files - 1 do
    number = number + 1
    content = contentOf(reader, seeds, opt.seed, number)
    current:seek("set")
    current:write(("%s %12d\n"):format(reader.name, number))
    local wrong, isTaken = tried(reader, content, asFile)
    if isTaken then taken = taken + 1 end
    if wrong then found(number, wrong) end
    if number % CHECKED_EACH == 0 then
      collectgarbage()
      core.scratch_release() -- what operations keep for their next call is no tensor of a reader's
      if core.memory("cpu").live > before then
        found(number, ("%d bytes of tensors are left since"):format(core.memory("cpu").live - before))
        before = core.memory("cpu").live
      end
    end
    if findings >= MOST_FINDINGS then break end
  end
  os.remove(path)
  if opt.keep then assert(core.file_write(opt.keep, content, {})) end
  print(("%-14s %8d damaged copies of %3d files in %5.0f s: %d taken, %d refused, %d findings"):format(reader.name,
    number - opt.first + 1, #seeds, core.clock() - start, taken, number - opt.first + 1 - taken - findings, findings))
  io.stdout:flush()
  return findings
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/fuzz.lua [-option value ...]")
  if not opt then return end
  os.execute("mkdir -p '" .. opt.directory .. "'")
  core.memory_limit("cpu", MOST_MEMORY)
  core.threads(1)
  local current = assert(io.open(opt.directory .. "/current", "w"))
  current:setvbuf("no")
  local total = 0
  for _, reader in ipairs(readers) do
    if opt.reader == "all" or opt.reader == reader.name then total = total + (run(reader, opt, current) or 0) end
  end
  current:close()
  os.remove(opt.directory .. "/current")
  return total > 0 and 1 or 0
end

os.exit(program.run("fuzz.lua", "usage: lua scripts/fuzz.lua [-option value ...]      (--help lists the options)",
  main), true)
