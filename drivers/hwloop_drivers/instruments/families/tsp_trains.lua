-- What every instrument keeps of hwloop: the levels of a train, sent in several messages, and how
-- levels are held and readings told. Lua 5.0 only. The file of an instrument defines
-- hwloop.set(level), hwloop.at_limit() and hwloop.now().
hwloop = {}

-- Levels in volts, widths in seconds, 1 where a level is then measured.
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

-- Measure how long it takes to set a level and to look at the limit, with the level that is given.
function hwloop.begin(level)
  hwloop.limited, hwloop.lead = false, nil
  local begun = hwloop.now()
  hwloop.hold(level, 0)
  hwloop.lead = hwloop.now() - begun
end

-- Set a level and hold it for so long, from its beginning to the next command's. The limit is looked
-- at at both ends: cells change in between. A level that lasted otherwise stops the train.
function hwloop.hold(level, width)
  local begun, rest = hwloop.now(), width - (hwloop.lead or 0)
  if rest < 0 then
    local text = "a level of %g s is shorter than the %g s that setting it takes"
    error(string.format(text, width, hwloop.lead))
  end
  hwloop.set(level)
  local limited = hwloop.at_limit()
  delay(rest)
  limited = hwloop.at_limit() or limited
  if limited and level ~= 0 then hwloop.limited = true end
  local lasted = hwloop.now() - begun
  if hwloop.lead and math.abs(lasted - width) > 2e-4 + 0.02 * width then
    error(string.format("a level of %g s lasted %g s", width, lasted))
  end
end

-- Print readings with their statuses, or "none", and whether the source was at its limit.
function hwloop.tell(readings, statuses, count)
  local parts = {}
  for n = 1, count do
    table.insert(parts, string.format("%.9e,%d", readings[n], statuses[n]))
  end
  local text = table.concat(parts, ",")
  if count == 0 then text = "none" end
  print(text, hwloop.limited and "limited" or "free")
end
