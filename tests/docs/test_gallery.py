"""The gallery shows the figures of the procedures that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_image_of_the_gallery_is_there_and_is_shown() -> None:
    shown = set(re.findall(r"\(images/gallery/([^)]+)\)", (ROOT / "docs/gallery.md").read_text()))
    assert shown == {file.name for file in (ROOT / "docs/images/gallery").glob("*.png")}


def test_every_procedure_stands_in_the_gallery() -> None:
    page = (ROOT / "docs/gallery.md").read_text()
    for file in (ROOT / "procedures").glob("*.yaml"):
        assert f"procedures/{file.name} " in page, f"{file.name}: run `make gallery`"
