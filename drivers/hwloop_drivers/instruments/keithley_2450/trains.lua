-- What a 2450 keeps of hwloop: trains and verify loops that run inside it. Lua 5.0 only.

-- Run something that measures into defbuffer1, leave the level at 0 V whatever happens, print all
-- readings with the status of their source, or what else came of it.
function hwloop.run(body)
  local before = eventlog.getcount(eventlog.SEV_ERROR)
  defbuffer1.clear()
  local ok, message = pcall(body)
  smu.source.level = 0
  waitcomplete()
  if not ok then
    print("stopped", message)
  elseif eventlog.getcount(eventlog.SEV_ERROR) > before then
    print("errors")
  elseif defbuffer1.n == 0 then
    print("none")
  else
    printbuffer(1, defbuffer1.n, defbuffer1.readings, defbuffer1.sourcestatuses)
  end
end

function hwloop.train()
  hwloop.run(function()
    for n = 1, table.getn(hwloop.levels) do
      smu.source.level = hwloop.levels[n]
      delay(hwloop.waits[n])
      if hwloop.reads[n] == 1 then smu.measure.read(defbuffer1) end
    end
  end)
end

function hwloop.verify(start, step, width, read, wait, low, high, most, sides)
  hwloop.run(function()
    for n = 0, most - 1 do
      smu.source.level = start + n * step
      delay(width)
      smu.source.level = 0
      local current, failed = 0, false
      for side = 1, sides do
        local sign = 3 - 2 * side
        smu.source.level = sign * read
        delay(wait)
        local seen = smu.measure.read(defbuffer1)
        current = current + sign * seen / sides
        failed = failed or smu.source.ilimit.tripped == smu.ON or math.abs(seen) > 1e30
      end
      if failed then return end
      if current >= low and current <= high then return end
    end
  end)
end

hwloop.version = 2
