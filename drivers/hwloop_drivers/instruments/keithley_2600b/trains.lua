-- What a 2600B keeps of hwloop: trains and verify loops that run inside it. Lua 5.0 only.

function hwloop.now() return timer.measure.t() end

-- Measure in an automatic range, which then is again the one that carries the limit: 1 and 2 are
-- AUTORANGE_ON and AUTORANGE_FOLLOW_LIMIT. A fixed range stays.
function hwloop.read(smu, buffer)
  local automatic = smu.measure.autorangei ~= 0
  if automatic then smu.measure.autorangei = 1 end
  local current
  if buffer then current = smu.measure.i(buffer) else current = smu.measure.i() end
  if automatic then smu.measure.autorangei = 2 end
  return current
end

-- Run something that measures into nvbuffer1 and holds levels of the source, leave the level at 0 V
-- whatever happens, print all readings with their status, or what else came of it.
function hwloop.run(source, meter, body, others)
  local before = errorqueue.count
  hwloop.set = function(level) source.source.levelv = level end
  hwloop.at_limit = function() return source.source.compliance end
  meter.nvbuffer1.clear()
  meter.nvbuffer1.appendmode = 1
  local ok, message = pcall(function()
    hwloop.begin(0)
    body()
  end)
  source.source.levelv = 0
  for n = 1, table.getn(others or {}) do others[n].source.levelv = 0 end
  waitcomplete()
  if not ok then
    print("stopped", message)
  elseif errorqueue.count > before then
    print("errors")
  else
    hwloop.tell(meter.nvbuffer1.readings, meter.nvbuffer1.statuses, meter.nvbuffer1.n)
  end
end

function hwloop.train(smu)
  hwloop.run(smu, smu, function()
    for n = 1, table.getn(hwloop.levels) do
      hwloop.hold(hwloop.levels[n], hwloop.waits[n])
      if hwloop.reads[n] == 1 then hwloop.read(smu, smu.nvbuffer1) end
    end
  end)
end

-- Equal pulses from 0 V, timed by the trigger model of the factory script; the current limit is
-- latched in the status of the channel, bit 1, until it is read.
function hwloop.pulses(smu, status, level, limit, on, off, count)
  local automatic = smu.measure.autorangei
  hwloop.run(smu, smu, function()
    local stale = status.event
    smu.measure.autorangei = 0
    local done, message = ConfigPulseVMeasureI(smu, 0, level, limit, on, off, count, nil, 1)
    if done then done, message = InitiatePulseTest(1) end
    if not done then error(message) end
    hwloop.limited = math.mod(math.floor(status.event / 2), 2) == 1
  end)
  smu.measure.autorangei = automatic
end

-- Pulse and verify. Each of the others is {channel, start, step, level during reads}: it stands
-- before a pulse begins and goes after it has ended.
function hwloop.verify(smu, meter, others, start, step, width, read, wait, low, high, most, sides)
  local count, outputs = table.getn(others), {smu}
  for k = 1, count do table.insert(outputs, others[k][1]) end
  hwloop.run(smu, meter, function()
    for n = 0, most - 1 do
      for k = 1, count do others[k][1].source.levelv = others[k][2] + n * others[k][3] end
      hwloop.hold(start + n * step, width)
      smu.source.levelv = 0
      for k = count, 1, -1 do others[k][1].source.levelv = others[k][4] end
      local current, failed = 0, false
      for side = 1, sides do
        local sign = 3 - 2 * side
        smu.source.levelv = sign * read
        delay(wait)
        local seen = hwloop.read(meter, meter.nvbuffer1)
        current = current + sign * seen / sides
        failed = failed or meter.source.compliance or math.abs(seen) > 1e30
        if not failed and smu.source.compliance then
          error("the source was at its compliance during a read")
        end
      end
      if failed then return end
      if current >= low and current <= high then return end
    end
  end, outputs)
end

hwloop.version = 4
