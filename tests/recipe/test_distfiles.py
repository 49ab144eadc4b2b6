from __future__ import annotations

import hashlib

from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.plan import Carried
from pkggen.tree import Bytes


def test_a_file_that_the_record_carries() -> None:
    data = b"--- a\n+++ b\n"
    carried = Carried(file_name="lib.1-fix.patch", content=data)
    content = Bytes(data)
    assert carried_distfile(carried, content) == Distfile(
        name="lib.1-fix.patch",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        content=content,
        source=None,
        commit=None,
    )
