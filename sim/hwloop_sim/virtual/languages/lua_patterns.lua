-- Lua's pattern matching, in Lua: find, gsub and gfind of the string library. Written in C, one call
-- can try more ways than could be tried in a lifetime, and no limit of instructions ends it; here
-- every step counts. After lstrlib.c of Lua 5.1. Called once with the table of C functions; returns
-- the three.

local c = ...
local byte, sub, plain_find, char, lower = c.byte, c.sub, c.find, c.char, c.lower
local concat, getinfo, error, type, tostring = c.concat, c.getinfo, c.error, c.type, c.tostring

local ESC, CARET, DOLLAR, OPENED, CLOSED = 37, 94, 36, 40, 41 -- % ^ $ ( )
local SET, SET_END, MINUS, STAR, PLUS, QUESTION, DOT = 91, 93, 45, 42, 43, 63, 46 -- [ ] - * + ? .
local MOST_CAPTURES, UNFINISHED, POSITION = 32, -1, -2
local MOST_COMPARED = 1e9 -- bytes in a search for plain text: below a second
local HERE = getinfo(1, "S").short_src

-- Raise an error on the line of the script that has called, as the C functions do.
local function fail(message)
  local level, place = 2, ""
  while true do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.short_src ~= HERE and info.currentline > 0 then
      place = info.short_src .. ":" .. info.currentline .. ": "
      break
    end
    level = level + 1
  end
  error(place .. message, 0)
end

local function text(value, number, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  fail("bad argument #" .. number .. " to '" .. name .. "' (string expected, got "
    .. (value == nil and "no value" or type(value)) .. ")")
end

-- The bytes of every class, such as %a.
local classes = {}
for letter in ("acdlpsuwxz"):gmatch(".") do
  local members = {}
  for code = 0, 255 do members[code] = plain_find(char(code), "%" .. letter) ~= nil end
  classes[byte(letter)] = members
end

local function in_class(code, letter)
  local small = byte(lower(char(letter)))
  local members = classes[small]
  if not members then return code == letter end
  if small == letter then return members[code] end
  return not members[code]
end

-- Return the place after the single-character class at `at`.
local function class_end(p, at)
  local first = byte(p, at)
  at = at + 1
  if first == ESC then
    if at > #p then fail("malformed pattern (ends with '%')") end
    return at + 1
  end
  if first == SET then
    if byte(p, at) == CARET then at = at + 1 end
    repeat
      if at > #p then fail("malformed pattern (missing ']')") end
      local code = byte(p, at)
      at = at + 1
      if code == ESC and at <= #p then at = at + 1 end
    until byte(p, at) == SET_END
    return at + 1
  end
  return at
end

-- Return whether a byte is in the set from `[` at `at` to `]` at `last`.
local function in_set(code, p, at, last)
  local inside = true
  if byte(p, at + 1) == CARET then
    inside = false
    at = at + 1
  end
  at = at + 1
  while at < last do
    local member = byte(p, at)
    if member == ESC then
      at = at + 1
      if in_class(code, byte(p, at)) then return inside end
    elseif byte(p, at + 1) == MINUS and at + 2 < last then
      at = at + 2
      if member <= code and code <= byte(p, at) then return inside end
    elseif member == code then
      return inside
    end
    at = at + 1
  end
  return not inside
end

local function single(m, place, at, after)
  local code, first = byte(m.s, place), byte(m.p, at)
  if not code then return false end
  if first == DOT then return true end
  if first == ESC then return in_class(code, byte(m.p, at + 1)) end
  if first == SET then return in_set(code, m.p, at, after - 1) end
  return code == first
end

local match

local function most_of(m, place, at, after)
  local count = 0
  while single(m, place + count, at, after) do count = count + 1 end
  while count >= 0 do
    local reached = match(m, place + count, after + 1)
    if reached then return reached end
    count = count - 1
  end
  return nil
end

local function least_of(m, place, at, after)
  while true do
    local reached = match(m, place, after + 1)
    if reached then return reached end
    if not single(m, place, at, after) then return nil end
    place = place + 1
  end
end

local function begin_capture(m, place, at, what)
  local level = m.level + 1
  if level > MOST_CAPTURES then fail("too many captures") end
  m.first[level], m.length[level], m.level = place, what, level
  local reached = match(m, place, at)
  if not reached then m.level = m.level - 1 end
  return reached
end

local function end_capture(m, place, at)
  for level = m.level, 1, -1 do
    if m.length[level] == UNFINISHED then
      m.length[level] = place - m.first[level]
      local reached = match(m, place, at)
      if not reached then m.length[level] = UNFINISHED end
      return reached
    end
  end
  fail("invalid pattern capture")
end

local function captured_again(m, place, digit)
  local level = digit - 48
  if level < 1 or level > m.level or m.length[level] == UNFINISHED then
    fail("invalid capture index")
  end
  local length = m.length[level]
  if length < 0 or place + length - 1 > #m.s then return nil end
  local first = m.first[level]
  if sub(m.s, first, first + length - 1) ~= sub(m.s, place, place + length - 1) then return nil end
  return place + length
end

local function balanced(m, place, at)
  local opening, closing = byte(m.p, at, at + 1)
  if not closing then fail("unbalanced pattern") end
  if byte(m.s, place) ~= opening then return nil end
  local depth = 1
  for next = place + 1, #m.s do
    local code = byte(m.s, next)
    if code == closing then
      depth = depth - 1
      if depth == 0 then return next + 1 end
    elseif code == opening then
      depth = depth + 1
    end
  end
  return nil
end

local function at_frontier(m, place, at, after)
  local before, code = byte(m.s, place - 1) or 0, byte(m.s, place) or 0
  if place == 1 then before = 0 end
  return not in_set(before, m.p, at, after - 1) and in_set(code, m.p, at, after - 1)
end

-- Return the place after the match of the pattern from `at` on at `place`, or nil.
match = function(m, place, at)
  local p = m.p
  while at <= #p do
    local first, second = byte(p, at, at + 1)
    local special = first == ESC and second
    if first == OPENED then
      if second == CLOSED then return begin_capture(m, place, at + 2, POSITION) end
      return begin_capture(m, place, at + 1, UNFINISHED)
    elseif first == CLOSED then
      return end_capture(m, place, at + 1)
    elseif special == 98 then -- %bxy
      place = balanced(m, place, at + 2)
      if not place then return nil end
      at = at + 4
    elseif special == 102 then -- %f[set]
      at = at + 2
      if byte(p, at) ~= SET then fail("missing '[' after '%f' in pattern") end
      local after = class_end(p, at)
      if not at_frontier(m, place, at, after) then return nil end
      at = after
    elseif special and special >= 48 and special <= 57 then -- %1
      place = captured_again(m, place, special)
      if not place then return nil end
      at = at + 2
    elseif first == DOLLAR and at == #p then
      return place == #m.s + 1 and place or nil
    else
      local after = class_end(p, at)
      local repeats = byte(p, after)
      if repeats == STAR then return most_of(m, place, at, after) end
      if repeats == MINUS then return least_of(m, place, at, after) end
      local fits = single(m, place, at, after)
      if repeats == PLUS then
        return fits and most_of(m, place + 1, at, after) or nil
      elseif repeats == QUESTION then
        if fits then
          local reached = match(m, place + 1, after + 1)
          if reached then return reached end
        end
        at = after + 1
      elseif fits then
        place, at = place + 1, after
      else
        return nil
      end
    end
  end
  return place
end

local function capture(m, level)
  local length, first = m.length[level], m.first[level]
  if length == UNFINISHED then fail("unfinished capture") end
  if length == POSITION then return first end
  return sub(m.s, first, first + length - 1)
end

local function captures(m, level)
  if level > m.level then return end
  return capture(m, level), captures(m, level + 1)
end

local function whole_or_captures(m, place, reached)
  if m.level == 0 then return sub(m.s, place, reached - 1) end
  return captures(m, 1)
end

local function state(s, p) return {s = s, p = p, level = 0, first = {}, length = {}} end

local function search_plain(s, p, from)
  if #s * #p > MOST_COMPARED then fail("string too long to search") end
  return plain_find(s, p, from, true)
end

local function find(s, p, from, plain)
  s, p = text(s, 1, "find"), text(p, 2, "find")
  from = from or 1
  if type(from) ~= "number" then fail("bad argument #3 to 'find' (number expected)") end
  if from < 0 then from = #s + from + 1 end
  if not (from >= 1) then from = 1 elseif from > #s + 1 then from = #s + 1 end
  from = from - from % 1
  if plain or not plain_find(p, "[%^%$%*%+%?%.%(%[%%%-]") then return search_plain(s, p, from) end
  local m, at = state(s, p), 1
  if byte(p) == CARET then at = 2 end
  for place = from, #s + 1 do
    m.level = 0
    local reached = match(m, place, at)
    if reached then return place, reached - 1, captures(m, 1) end
    if at == 2 then break end
  end
  return nil
end

-- Return what stands for %0 to %9 and %% in a replacement.
local function escaped(m, code, place, reached)
  if code == 48 then return sub(m.s, place, reached - 1) end
  if not code or code < 48 or code > 57 then return char(code or 0) end -- 0: as C ends a text
  local level = code - 48
  if level > m.level then
    if level == 1 then return sub(m.s, place, reached - 1) end
    fail("invalid capture index")
  end
  return tostring(capture(m, level))
end

local function filled(m, pattern, place, reached)
  local parts, from = {}, 1
  while true do
    local at = plain_find(pattern, "%", from, true)
    if not at then break end
    parts[#parts + 1] = sub(pattern, from, at - 1)
    parts[#parts + 1] = escaped(m, byte(pattern, at + 1), place, reached)
    from = at + 2
  end
  parts[#parts + 1] = sub(pattern, from)
  return concat(parts)
end

local function replaced(m, by, place, reached)
  local value
  if type(by) == "function" then
    value = by(whole_or_captures(m, place, reached))
  elseif type(by) == "table" then
    value = by[m.level == 0 and sub(m.s, place, reached - 1) or capture(m, 1)]
  else
    value = filled(m, by, place, reached)
  end
  if not value then return sub(m.s, place, reached - 1) end
  if type(value) ~= "string" and type(value) ~= "number" then
    fail("invalid replacement value (a " .. type(value) .. ")")
  end
  return tostring(value)
end

local function gsub(s, p, by, most)
  s, p = text(s, 1, "gsub"), text(p, 2, "gsub")
  if type(by) ~= "function" and type(by) ~= "table" then by = text(by, 3, "gsub") end
  most = most or #s + 1
  if type(most) ~= "number" then fail("bad argument #4 to 'gsub' (number expected)") end
  local m, at, parts, count, place = state(s, p), 1, {}, 0, 1
  if byte(p) == CARET then at = 2 end
  while count < most do
    m.level = 0
    local reached = match(m, place, at)
    if reached then
      count = count + 1
      parts[#parts + 1] = replaced(m, by, place, reached)
    end
    if reached and reached > place then
      place = reached
    elseif place <= #s then
      parts[#parts + 1] = sub(s, place, place)
      place = place + 1
    else
      break
    end
    if at == 2 then break end
  end
  parts[#parts + 1] = sub(s, place)
  return concat(parts), count
end

local function gfind(s, p)
  s, p = text(s, 1, "gfind"), text(p, 2, "gfind")
  local from = 1
  return function()
    local m = state(s, p)
    for place = from, #s + 1 do
      m.level = 0
      local reached = match(m, place, 1)
      if reached then
        from = reached == place and reached + 1 or reached
        return whole_or_captures(m, place, reached)
      end
    end
    return nil
  end
end

return find, gsub, gfind
