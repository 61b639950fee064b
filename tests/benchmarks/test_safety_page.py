"""The page of the safety table keeps what is not tried again."""

from pathlib import Path

from benchmarks.safety_page import NOT_TRIED, Page

WRITTEN = {"updates": 4, "seed": 1, "timeout_s": 2.0}


def _row(words: str, outputs: str = "all off") -> str:
    return f"| {words} | {outputs} | all at 0 V | 0.1 s | none | none | failed | 4 | yes |"


def test_rows_that_are_not_tried_again_stay_and_those_that_are_change(tmp_path: Path) -> None:
    path = tmp_path / "safety.md"
    for tried, outputs in ((["one", "two"], "all off"), (["two"], "**smu out of reach**")):
        page = Page(path)
        page.begin("bench", ["one", "two", "three"])
        for words in tried:
            page.put("bench", words, _row(words, outputs))
        page.write(**WRITTEN)  # type: ignore[arg-type]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert _row("one") in lines
    assert _row("two", "**smu out of reach**") in lines
    assert _row("two") not in lines
    assert f"| three | {NOT_TRIED} ||||||||" in lines
    assert lines.index(_row("one")) < lines.index(f"| three | {NOT_TRIED} ||||||||")


def test_other_stations_stay_and_an_incident_that_is_none_any_more_goes(tmp_path: Path) -> None:
    path = tmp_path / "safety.md"
    for station in ("b", "a"):
        page = Page(path)
        page.begin(station, ["old"])
        page.put(station, "old", _row("old"))
        page.write(**WRITTEN)  # type: ignore[arg-type]
    page = Page(path)
    page.begin("a", ["new"])
    assert page.is_untried("a", "new")
    page.put("a", "new", _row("new"))
    assert not page.is_untried("a", "new")
    page.write(**WRITTEN)  # type: ignore[arg-type]
    text = path.read_text(encoding="utf-8")
    assert text.index("## a") < text.index(_row("new")) < text.index("## b")
    assert text.count(_row("old")) == 1
