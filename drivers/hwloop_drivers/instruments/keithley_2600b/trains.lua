-- What a 2600B keeps of hwloop: trains and verify loops that run inside it. Lua 5.0 only.

-- Run something that measures into nvbuffer1, leave the level at 0 V whatever happens, print all
-- readings with their status, after the number of errors that were met.
function hwloop.run(smu, body, others)
  local before = errorqueue.count
  smu.nvbuffer1.clear()
  smu.nvbuffer1.appendmode = 1
  local ok, message = pcall(body)
  smu.source.levelv = 0
  for n = 1, table.getn(others or {}) do others[n].source.levelv = 0 end
  waitcomplete()
  if not ok then
    print("stopped", message)
  elseif errorqueue.count > before then
    print("errors")
  elseif smu.nvbuffer1.n == 0 then
    print("none")
  else
    printbuffer(1, smu.nvbuffer1.n, smu.nvbuffer1.readings, smu.nvbuffer1.statuses)
  end
end

function hwloop.train(smu)
  hwloop.run(smu, function()
    for n = 1, table.getn(hwloop.levels) do
      smu.source.levelv = hwloop.levels[n]
      delay(hwloop.waits[n])
      if hwloop.reads[n] == 1 then smu.measure.i(smu.nvbuffer1) end
    end
  end)
end

-- Equal pulses from 0 V, timed by the trigger model of the factory script.
function hwloop.pulses(smu, level, limit, on, off, count)
  local automatic = smu.measure.autorangei
  hwloop.run(smu, function()
    smu.measure.autorangei = 0
    local done, message = ConfigPulseVMeasureI(smu, 0, level, limit, on, off, count, nil, 1)
    if done then done, message = InitiatePulseTest(1) end
    if not done then error(message) end
  end)
  smu.measure.autorangei = automatic
end

-- Pulse and verify. Each of the others is {channel, start, step, level during reads}: it stands
-- before a pulse begins and goes after it has ended.
function hwloop.verify(smu, meter, others, start, step, width, read, wait, low, high, most, sides)
  local count, outputs = table.getn(others), {smu}
  for k = 1, count do table.insert(outputs, others[k][1]) end
  hwloop.run(meter, function()
    for n = 0, most - 1 do
      for k = 1, count do others[k][1].source.levelv = others[k][2] + n * others[k][3] end
      smu.source.levelv = start + n * step
      delay(width)
      smu.source.levelv = 0
      for k = count, 1, -1 do others[k][1].source.levelv = others[k][4] end
      local current, failed = 0, false
      for side = 1, sides do
        local sign = 3 - 2 * side
        smu.source.levelv = sign * read
        delay(wait)
        local seen = meter.measure.i(meter.nvbuffer1)
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

hwloop.version = 3
