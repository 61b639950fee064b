"""What drivers say of their settings."""

from __future__ import annotations

from hwloop_drivers.roles.read_back import units_of_read_back


def test_settings_read_back_have_units_where_their_names_are_declared() -> None:
    settings = {"a.compliance_current_a": 1e-3, "source_range_v": 2.0, "nplc": 1.0, "slot_s": "no"}
    assert units_of_read_back("smu", settings) == {
        "smu.a.compliance_current_a": "A",
        "smu.source_range_v": "V",
    }
