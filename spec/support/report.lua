-- busted's output for people and for machines: one line per spec file while it runs, every failure
-- in full at the end, then the count of tests, alone on the last line; or, where the run is part of a
-- larger one, in the file that DENSENET_TOTALS names (run.sh). With DENSENET_COMPLETE a skipped test is a
-- failure.

local function place(failure)
  local trace = failure.element.trace or failure.trace
  return trace and trace.short_src and ("%s:%d"):format(trace.short_src, trace.currentline) or "?"
end

local function text(message)
  if type(message) == "string" then return message end
  if message == nil then return "no message" end
  return require("pl.pretty").write(message)
end

local function write(path, line)
  local file = assert(io.open(path, "w"))
  assert(file:write(line, "\n"))
  assert(file:close())
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local before = {}

  function handler.fileStart(file)
    before = {
      time = busted.gettime(), passed = handler.successesCount, skipped = handler.pendingsCount,
      failed = handler.failuresCount + handler.errorsCount,
    }
    io.write(("%-48s "):format(file.name))
    io.flush()
    return nil, true
  end

  function handler.fileEnd()
    local failed = handler.failuresCount + handler.errorsCount - before.failed
    local skipped = handler.pendingsCount - before.skipped
    io.write(("%4d passed%s%s  %.1f s\n"):format(handler.successesCount - before.passed,
      failed > 0 and (", %d FAILED"):format(failed) or "",
      skipped > 0 and (", %d skipped"):format(skipped) or "", busted.gettime() - before.time))
    io.flush()
    return nil, true
  end

  function handler.suiteEnd()
    for _, pending in ipairs(handler.pendings) do
      io.write(("\nskipped: %s (%s)%s\n"):format(pending.name, place(pending),
        pending.message and (": " .. text(pending.message)) or ""))
    end
    for _, list in ipairs { handler.failures, handler.errors } do
      for _, failure in ipairs(list) do
        io.write(("\n%s: %s (%s)\n%s\n"):format(failure.isError and "error" or "failed", failure.name,
          place(failure), text(failure.message)))
        if failure.isError and failure.trace and failure.trace.traceback then
          io.write(failure.trace.traceback, "\n")
        end
      end
    end
    local failed = handler.failuresCount + handler.errorsCount
    local counts = ("%d passed, %d failed, %d skipped"):format(handler.successesCount, failed, handler.pendingsCount)
    local totals = os.getenv "DENSENET_TOTALS"
    if totals then write(totals, counts) else io.write("\n", counts, "\n") end
    io.flush()
    if os.getenv "DENSENET_COMPLETE" and handler.pendingsCount > 0 then os.exit(1) end
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
