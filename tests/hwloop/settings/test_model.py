"""Settings refuse numbers and nesting that nothing behind them could hold."""

from __future__ import annotations

from typing import Any

import pytest

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings


class _Anything(Settings):
    values: Any = None
    count: int = 0


@pytest.mark.parametrize("power", [63, 200, 1329, 20_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_beyond_64_bits_is_refused_with_its_key(power: int, sign: int) -> None:
    value = sign * 2**power
    for data, key in (({"count": value}, "count"), ({"values": [{"x": value}]}, "values.0.x")):
        with pytest.raises(ConfigError, match="whole numbers go up to 9223372036854775807") as one:
            _Anything.parse(data)
        assert one.value.key == key
    assert _Anything.parse({"count": 2**63 - 1}).count == 2**63 - 1


def test_nesting_without_end_is_refused_with_its_key() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ConfigError, match="values: nested deeper than 64 levels"):
        _Anything.parse({"values": deep})
