-- What a 2450 keeps of hwloop: trains and verify loops that run inside it. Lua 5.0 only.
hwloop.settle = 0

function hwloop.set(level) smu.source.level = level end
function hwloop.at_limit() return smu.source.ilimit.tripped == smu.ON end
function hwloop.now() return timer.gettime() end

-- Measure when the level has settled.
function hwloop.read()
  delay(hwloop.settle)
  return smu.measure.read(defbuffer1)
end

-- Run something that measures into defbuffer1, leave the level at 0 V whatever happens, print all
-- readings with the status of their source, or what else came of it. There must be no unread error
-- before: what getcount counts, unread errors or those since it was last asked, is then the same.
function hwloop.run(body)
  if eventlog.getcount(eventlog.SEV_ERROR) > 0 then
    print("errors")
    return
  end
  defbuffer1.clear()
  local ok, message = pcall(function()
    hwloop.begin(0)
    body()
  end)
  smu.source.level = 0
  waitcomplete()
  if not ok then
    print("stopped", message)
  elseif eventlog.getcount(eventlog.SEV_ERROR) > 0 then
    print("errors")
  else
    hwloop.tell(defbuffer1.readings, defbuffer1.sourcestatuses, defbuffer1.n)
  end
end

function hwloop.train()
  hwloop.run(function()
    local reading = 0
    if smu.measure.autorange == smu.OFF then
      local begun = hwloop.now()
      hwloop.read()
      reading = hwloop.now() - begun - hwloop.aperture
      defbuffer1.clear()
    end
    for n = 1, table.getn(hwloop.levels) do
      local measured = hwloop.reads[n] == 1
      hwloop.hold(hwloop.levels[n], hwloop.waits[n] - (measured and reading or 0))
      if measured then hwloop.read() end
    end
  end)
end

function hwloop.verify(start, step, width, read, wait, low, high, most, sides)
  hwloop.run(function()
    for n = 0, most - 1 do
      hwloop.hold(start + n * step, width)
      smu.source.level = 0
      local current, failed = 0, false
      for side = 1, sides do
        local sign = 3 - 2 * side
        smu.source.level = sign * read
        delay(wait)
        local seen = hwloop.read()
        current = current + sign * seen / sides
        failed = failed or hwloop.at_limit() or math.abs(seen) > 1e30
      end
      if failed then return end
      if current >= low and current <= high then return end
    end
  end)
end

hwloop.version = 3
