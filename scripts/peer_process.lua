--- Other libraries that are measured beside this one, in processes that stay, so that both sides can take turns. A
-- process reads lines "WORDS RESULT_FILE" from its standard input, does what the words say, and leaves its answer in
-- the file (written under another name and renamed, so that a file that is there is whole).
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local core = require "densenet.core"
local program = require "densenet.train.program"
local quote = require "shell_quote"

local PeerProcess = {}
PeerProcess.__index = PeerProcess

--- Ends the program with a sentence unless `python` runs and has those modules.
function PeerProcess.check(python, modules)
  for _, name in ipairs(modules) do
    if not os.execute(("%s -c 'import %s' 2>/dev/null"):format(quote(python), name)) then
      program.stop(1, ("%s: is no Python that has %s, which is to be measured beside"):format(python, name))
    end
  end
end

--- @param command words of the command, the program first
function PeerProcess.new(command)
  local words = {}
  for i, word in ipairs(command) do words[i] = quote(word) end
  local self = setmetatable({ result = os.tmpname(), name = command[2] }, PeerProcess)
  self.process = assert(io.popen(table.concat(words, " "), "w"))
  self.process:setvbuf("line")
  return self
end

--- Hands over a job and does not wait for its end, so that several processes may work at once.
function PeerProcess:ask(words)
  os.remove(self.result)
  self.process:write(words, " ", self.result, "\n")
end

--- What the job left behind.
-- @param seconds the longest wait; after it the program ends with a sentence
function PeerProcess:answer(seconds)
  local deadline = core.clock() + seconds
  while core.clock() < deadline do
    local file = io.open(self.result)
    if file then
      local text = file:read("a")
      file:close()
      if text ~= "" then return text end
    end
    os.execute("sleep 0.02")
  end
  program.stop(1, ("%s: no answer within %d s"):format(self.name, seconds))
end

function PeerProcess:close()
  self.process:close()
  os.remove(self.result)
end

return PeerProcess
