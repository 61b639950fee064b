-- What a virtual instrument's Lua is made of: called once with Lua's own functions, it returns
-- the environment in which messages run, and what the host needs to reach into it. Everything
-- that user code could reach outside the instrument (os, io, debug, package, bytecode) stays out,
-- and so does every function that could work for long within one instruction.

local patterns = ... -- the source of lua_patterns.lua

local setmetatable, error, type, unpack = setmetatable, error, type, unpack
local pairs, pcall, rawget, getmetatable = pairs, pcall, rawget, getmetatable
local loadstring, setfenv, byte, sethook = loadstring, setfenv, string.byte, debug.sethook
local clock = os.clock

python = nil
string.dump = nil
getmetatable("").__metatable = "string"

local function copy(names, from)
  local to = {}
  for _, name in ipairs(names) do to[name] = from[name] end
  return to
end

local function all(from)
  local to = {}
  for name, value in pairs(from) do to[name] = value end
  return to
end

string.find, string.gsub, string.gfind = assert(loadstring(patterns, "=patterns"))({
  byte = string.byte, sub = string.sub, find = string.find, char = string.char,
  lower = string.lower, concat = table.concat, getinfo = debug.getinfo,
  error = error, type = type, tostring = tostring,
})

local repeated, inserted = string.rep, table.insert

string.rep = function(text, count)
  if text == "" then return "" end -- else it is done `count` times
  return repeated(text, count)
end

local builtins = copy({
  "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "setmetatable",
  "tonumber", "tostring", "type", "unpack",
}, _G)
-- What Lua 5.1 added to the instruments' 5.0 stays out too: a script must not come to need it.
string.match, string.gmatch, string.reverse = nil, nil, nil
math.huge, math.modf, math.fmod, table.maxn = nil, nil, nil, nil
builtins.math, builtins.string, builtins.table = all(math), all(string), all(table)

local env = setmetatable({}, {__index = builtins, __metatable = "environment"})
builtins._G = env

-- Compile text, never bytecode, to run in the environment.
local function compile(text, name)
  if type(text) ~= "string" or byte(text) == 27 then
    return nil, (name or "TSP") .. ":1: not a text"
  end
  local chunk, message = loadstring(text, "=" .. (name or "TSP"))
  if chunk then setfenv(chunk, env) end
  return chunk, message
end
builtins.loadstring = function(text) return compile(text) end

-- A runaway is stopped at its every instruction from then on, so that no pcall of its own saves it.
-- What the host is asked takes it as long as this many instructions. An instruction on long strings
-- takes longer than others: so there is a limit of the processor's time as well, without the host's.
local left, end_s = 0, 0
local step, asked = 1000, 250
local function spend()
  left = left - step
  if left <= 0 or clock() > end_s then
    left = 0
    sethook(spend, "", 1)
    error("TSP:0: aborted, the script ran for too long", 0)
  end
end

local function limit(instructions, seconds)
  left, end_s = instructions, clock() + seconds
  sethook(spend, "", step)
end

-- Charge what the table library does within one instruction: it moves all that comes after.
builtins.table.insert = function(list, ...)
  local count = #list
  local place, value = ...
  if select("#", ...) == 1 then return inserted(list, place) end
  if type(place) ~= "number" or place < 1 or place > count + 1 then
    error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  left = left - (count - place) / 4
  return inserted(list, place, value)
end

local function took(began_s, ...)
  end_s = end_s + clock() - began_s
  return ...
end

local function host(ask, ...)
  left = left - asked
  return took(clock(), ask(...))
end

-- The instrument's tables: an access is answered by the host, or is a fault on the line it is on.
local owners = setmetatable({}, {__mode = "k"})

local walked = setmetatable({}, {__mode = "k"})

local function node(owner, index, assign, keys)
  local proxy = setmetatable({}, {
    __index = function(_, key)
      local fault, value = host(index, key)
      if fault then error(fault, 2) end
      return value
    end,
    __newindex = function(_, key, value)
      local fault = host(assign, key, value)
      if fault then error(fault, 2) end
    end,
    __metatable = "instrument",
  })
  owners[proxy] = owner
  walked[proxy] = keys
  return proxy
end

-- Scripts walk the instrument's tables as any other: the host tells their keys.
builtins.pairs = function(list)
  local keys = walked[list]
  if not keys then return pairs(list) end
  local fault, names = host(keys)
  if fault then error(fault, 2) end
  local place = 0
  return function()
    place = place + 1
    local name = names[place]
    if name == nil then return nil end
    local ok, value = pcall(function() return list[name] end)
    if ok then return name, value end
    return name, nil
  end
end

-- Lua 5.0 walks a table that stands after "in" without a call; the host has put "__each" there.
builtins.__each = function(list)
  local meta = getmetatable(list)
  local called = meta == "script" or type(meta) == "table" and meta.__call
  if type(list) == "table" and not called then return builtins.pairs(list) end
  return list
end

builtins.makegetter = function(list, name)
  return function() return list[name] end
end
builtins.makesetter = function(list, name)
  return function(value) list[name] = value end
end

-- Lua 5.0 keeps the length of a table that has been told one: in its field n, or beside it.
local lengths = setmetatable({}, {__mode = "k"})
builtins.table.getn = function(list)
  local told = rawget(list, "n")
  if type(told) == "number" then return told end
  return lengths[list] or #list
end
builtins.table.setn = function(list, count)
  if type(rawget(list, "n")) == "number" then list.n = count else lengths[list] = count end
end

local function callable(call)
  return function(...)
    local results = {host(call, ...)} -- fault, count, values
    if results[1] then error(results[1], 2) end
    return unpack(results, 3, 2 + results[2])
  end
end

-- A script is a table that can be called; its fields are plain.
local function script(name, source, chunk)
  return setmetatable(
    {name = name, source = source, run = chunk, save = function() end},
    {__call = function(_, ...) return chunk(...) end, __metatable = "script"}
  )
end

return env, builtins, compile, node, function(proxy) return owners[proxy] end, callable, script,
  limit, sethook, spend
