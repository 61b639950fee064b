"""Text from elsewhere is shown on a terminal, never obeyed."""

from __future__ import annotations

import pytest
from rich.table import Table

from hwloop.terminal import plain_console, printable, say

FORGED = "a\x1b]0;owned\x07[/red]\x9b2J\r:smile:\u202eb"
SHOWN = "a\\x1b]0;owned\\x07[/red]\\x9b2J\\r:smile:\\u202eb"


def test_control_characters_are_written_out_and_letters_stay() -> None:
    assert printable(FORGED) == SHOWN
    assert printable("\ud800\u2028\x00\x7f\x85") == "\\ud800\\u2028\\x00\\x7f\\x85"
    plain = "5 µS ± 3 Ω, 忆阻器, نمی\u200cخواهم\n\tnext"
    assert printable(plain) == plain


def test_a_line_that_is_said_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say(FORGED)
    say(FORGED, err=True)
    said = capsys.readouterr()
    assert said.out == said.err == f"{SHOWN}\n"


def test_lines_and_tables_of_a_console_show_markup_as_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("[/bold]\x1b[2J")
    table.add_row(FORGED)
    console = plain_console(width=200)
    console.print(FORGED, style="red")
    console.print(table)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [SHOWN, "[/bold]\\x1b[2J", SHOWN]
