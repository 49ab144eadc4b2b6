"""Every setting that confines a tender is stated once and explained."""

from __future__ import annotations

import re

from pkggen.recipe.hardening import HARDENING


def test_hardening_is_stated_once_and_explained() -> None:
    names = [setting.name for setting in HARDENING]
    assert len(set(names)) == len(names)
    # Both tenders assert that personality(0xffffffff) works (Solo5 spt_core.c, hvt_kvm.c).
    assert "LockPersonality" not in names
    for setting in HARDENING:
        assert setting.reason.endswith(".")
        assert re.fullmatch(r"[A-Za-z0-9@_ -]*", setting.value)
