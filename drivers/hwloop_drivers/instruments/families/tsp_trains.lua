-- What every instrument keeps of hwloop: the levels of a train, sent in several messages. Lua 5.0 only.
hwloop = {}

-- Levels in volts, waits in seconds after setting each, 1 where it is then measured.
function hwloop.clear()
  hwloop.levels, hwloop.waits, hwloop.reads = {}, {}, {}
end

function hwloop.add(levels, waits, reads)
  for n = 1, table.getn(levels) do
    table.insert(hwloop.levels, levels[n])
    table.insert(hwloop.waits, waits[n])
    table.insert(hwloop.reads, reads[n])
  end
end
