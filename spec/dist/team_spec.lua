-- A team of processes: who is blamed, who is ended, and how fast.
local core = require "densenet.core"
local Team = require "densenet.dist.team"

-- A team of shells; what they report goes to 3. Returns status, epitaph, standard error, seconds.
local function run(scripts, options)
  local members, said = {}, {}
  for i, script in ipairs(scripts) do members[i] = { arguments = { "sh", "-c", script }, device = "cuda:" .. i - 1 } end
  options = options or {}
  options.patience = options.patience or { leave = 0.3, term = 0.3 }
  options.write = function(text) said[#said + 1] = text end
  options.interrupted = options.interrupted or function() return 0 end
  local since = core.clock()
  local team = assert(Team.start(members, options))
  local status = team:wait()
  local epitaph = team:epitaph()
  return status, epitaph and epitaph:gsub("pid %d+", "pid N"), table.concat(said), core.clock() - since
end

describe("a team", function()
  it("ends well when all do", function()
    local status, epitaph, said = run { "exit 0", "echo one >&2; echo nowhere; printf two >&2", "exit 0" }
    assert.same({ 0, nil, "[rank 1] one\n[rank 1] two\n" }, { status, epitaph, said })
  end)

  it("keeps to whole lines, however they come", function()
    local _, _, said = run { "exit 0", "for i in 1 2 3; do printf a >&2; sleep 0.02; printf 'b\\n' >&2; done",
      "for i in 1 2 3; do printf c >&2; sleep 0.02; printf 'd\\n' >&2; done" }
    for line in said:gmatch "[^\n]+" do assert.is_truthy(line == "[rank 1] ab" or line == "[rank 2] cd") end
    assert.equal(6, select(2, said:gsub("\n", "")))
  end)

  it("is ended by the first that fails, with its device, batches and the last checkpoint", function()
    local status, epitaph = run { "echo checkpoint runs/a/model_3.safetensors >&3; exec sleep 20",
      "echo batches 1204 >&3; echo device cuda:7 >&3; exit 3" }
    assert.same({ 3, "rank 1 (cuda:7, pid N) ended with status 3 after 1,204 batches; all others were ended. The last "
      .. "checkpoint is runs/a/model_3.safetensors" }, { status, epitaph })
  end)

  it("asks before it ends by force", function()
    local status, epitaph, said, seconds = run { "exec sleep 20", "kill -SEGV $$",
      "trap 'echo asked >&2; exit 0' TERM; while :; do sleep 0.05; done", "trap '' TERM; while :; do sleep 0.05; done" }
    assert.equal(128 + 11, status)
    assert.equal("rank 1 (cuda:1, pid N) ended with signal 11 before its first batch was done; all others were ended, "
      .. "rank 3 by force", epitaph)
    assert.matches("%[rank 2%] asked\n", said)
    assert.is_true(seconds > 0.6 and seconds < 5)
  end)

  it("does not blame a rank for following another", function()
    local status, epitaph = run { "echo follows >&3; exit 1", "sleep 0.2; exit 9" }
    assert.equal(9, status)
    assert.matches("^rank 1 %(cuda:1, pid N%) ended with status 9 ", epitaph)
    status, epitaph = run { "echo follows >&3; exit 1", "kill -STOP $$", "echo follows >&3; exit 1" }
    assert.equal(1, status)
    assert.matches("^rank 1 %(cuda:1, pid N%) was stopped by signal 19 before its first batch was done, and rank [02] "
      .. "%(cuda:[02], pid N%) ended with status 1 before its first batch was done; all others were ended, rank 1 by "
      .. "force$", epitaph)
  end)

  it("passes an interrupt on once, and takes leaving for no failure", function()
    local count = 0
    local status, epitaph, said = run({ "trap 'exit 130' INT; while :; do sleep 0.02; done",
      "trap 'echo got >&2; sleep 1; exit 130' INT; while :; do sleep 0.02; done" },
      { interrupted = function()
        count = count + 1
        if count < 5 then return 0 end
        return 1, 2
      end })
    assert.same({ 130, nil, "[rank 1] got\n" }, { status, epitaph, said })
  end)

  it("reports a failure after an interrupt", function()
    local status, epitaph = run({ "trap 'exit 130' INT; while :; do sleep 0.02; done",
      "trap 'exit 4' INT; while :; do sleep 0.02; done" }, { interrupted = function() return 1, 2 end })
    -- A shell that is interrupted before it has set its trap ends by the signal, which is leaving, too.
    assert.is_true(status == 4 or status == 130)
    assert.equal(status == 4, epitaph ~= nil)
  end)

  it("starts all or none", function()
    local since = core.clock()
    local team, message, code = Team.start { { arguments = { "sleep", "20" } }, { arguments = { "no-such-command" } } }
    assert.same({ nil, "no command 'no-such-command' in PATH", "io" }, { team, message, code })
    assert.is_true(core.clock() - since < 5)
  end)
end)
