"""Pattern matching in Lua itself, against that of the Lua library, which is written in C."""

import random
from importlib import resources
from typing import Any

import pytest
from lupa import lua51

ITEMS = (
    *(
        "a",
        "b",
        ".",
        "%a",
        "%d",
        "%s",
        "%W",
        "%%",
        "[ab]",
        "[^a]",
        "[a-c%d]",
        "[]a]",
        "[%]b-]",
        "x-",
    ),
    *(
        "a*",
        "b+",
        ".-",
        "%a?",
        "[ab]*",
        "%d-",
        "(a)",
        "(b*)",
        "()",
        "(",
        ")",
        "%1",
        "%b()",
        "%f[%w]",
    ),
    *("^", "$", "%", "[", "[^", "-", "%2", "(.)(.)", "%bxx", "%f"),
)
LETTERS = "aabbc1 ()x-%]"
SETUP = """
local source = ...
local find, gsub, gfind = loadstring(source, "=patterns")({
  byte = string.byte, sub = string.sub, find = string.find, char = string.char,
  lower = string.lower, concat = table.concat, getinfo = debug.getinfo,
  error = error, type = type, tostring = tostring,
})
local function shown(...)
  local parts = {}
  for n = 1, select("#", ...) do parts[n] = tostring(select(n, ...)) end
  return table.concat(parts, "|")
end
local function said(...) -- an error without its place, or the results
  local ok, message = ...
  if ok then return shown(select(2, ...)) end
  return "error " .. tostring(message):gsub("^.-:%d+: ", "")
end
local function all(each, s, p)
  local found = {}
  for a, b in each(s, p) do found[#found + 1] = shown(a, b) end
  return table.concat(found, ",")
end
local function upper(a, b) return b and a:upper() end
return function(s, p, r, from, most)
  return {
    said(pcall(find, s, p, from)), said(pcall(string.find, s, p, from)),
    said(pcall(find, s, p, from, true)), said(pcall(string.find, s, p, from, true)),
    said(pcall(gsub, s, p, r, most)), said(pcall(string.gsub, s, p, r, most)),
    said(pcall(gsub, s, p, upper)), said(pcall(string.gsub, s, p, upper)),
    said(pcall(gsub, s, p, {a = 1, b = false})), said(pcall(string.gsub, s, p, {a = 1, b = false})),
    said(pcall(all, gfind, s, p)), said(pcall(all, string.gfind, s, p)),
  }
end
"""


@pytest.fixture(scope="module")
def compare() -> Any:
    folder = resources.files("hwloop_sim.virtual.languages")
    source = folder.joinpath("lua_patterns.lua").read_text("utf-8")
    return lua51.LuaRuntime(encoding="latin-1").execute(SETUP, source)


def test_every_result_and_error_is_that_of_the_lua_library(compare: Any) -> None:
    drawn = random.Random(1)  # noqa: S311 - no secret
    matched = failed = 0
    for _ in range(20_000):
        pattern = "".join(drawn.choices(ITEMS, k=drawn.randint(0, 4)))
        text = "".join(drawn.choices(LETTERS, k=drawn.randint(0, 8)))
        by = "".join(drawn.choices(("%0", "%1", "%2", "<", "%%", "%x", "%"), k=2))
        most = drawn.choice((None, 0, 1, 2))
        results = list(compare(text, pattern, by, drawn.randint(-9, 9), most).values())
        for ours, theirs in zip(results[::2], results[1::2], strict=True):
            assert ours == theirs, (text, pattern, by, most)
        matched += results[0] not in {"nil", ""}
        failed += results[0].startswith("error")
    assert matched > 4000
    assert failed > 1000


@pytest.mark.parametrize("pattern", [".", "%a+", "[%z\1-\127]", "[^%z]*", "\xe4+"])
def test_every_byte_is_matched_as_the_lua_library_does(compare: Any, pattern: str) -> None:
    text = "".join(map(chr, range(256)))
    results = list(compare(text, pattern, "%0-", 1, None).values())
    assert results[::2] == results[1::2]
