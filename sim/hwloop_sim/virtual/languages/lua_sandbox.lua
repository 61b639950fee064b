-- What a virtual instrument's Lua is made of: called once with Lua's own functions, it returns
-- the environment in which messages run, and what the host needs to reach into it. Everything
-- that user code could reach outside the instrument (os, io, debug, package, bytecode) stays out.

local setmetatable, error, type, unpack = setmetatable, error, type, unpack
local loadstring, setfenv, byte, sethook = loadstring, setfenv, string.byte, debug.sethook

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
-- What the host is asked takes it as long as this many instructions.
local left = 0
local step, asked = 10000, 250
local function spend()
  left = left - step
  if left <= 0 then
    sethook(spend, "", 1)
    error("TSP:0: aborted, the script ran for too long", 0)
  end
end

local function limit(instructions)
  left = instructions
  sethook(spend, "", step)
end

-- The instrument's tables: an access is answered by the host, or is a fault on the line it is on.
local owners = setmetatable({}, {__mode = "k"})

local function node(owner, index, assign)
  local proxy = setmetatable({}, {
    __index = function(_, key)
      left = left - asked
      local fault, value = index(key)
      if fault then error(fault, 2) end
      return value
    end,
    __newindex = function(_, key, value)
      left = left - asked
      local fault = assign(key, value)
      if fault then error(fault, 2) end
    end,
    __metatable = "instrument",
  })
  owners[proxy] = owner
  return proxy
end

local function callable(call)
  return function(...)
    left = left - asked
    local results = {call(...)} -- fault, count, values
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
