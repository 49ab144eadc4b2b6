"""Trees on disk: whole or not at all, and never over an edit."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import pytest

from pkggen.errors import Faults, InputError, ToolError, VerificationError
from pkggen.tree import SEAL, CopiedFile, TextFile, Tree, sealed
from pkggen.writer import Change, ChangeKind, plan, with_edited_beside, write
from tests.test_tree import HEADER, Bytes, copied, one, tree

if TYPE_CHECKING:
    from collections.abc import Iterator


def kinds(found: tuple[Change, ...]) -> dict[str, str]:
    return {str(change.path): change.kind.value for change in found}


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and bytes of everything below `root`."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns if path.is_file() else 0,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


# plans


def test_a_plan_shows_what_would_be_created_and_writes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "out"
    files = one("d/text", "one\ntwo") | Tree({PurePosixPath("image"): copied(b"\x7fELF")})
    text, image = plan(files, root)
    assert (text.kind, image.kind) == (ChangeKind.CREATE, ChangeKind.CREATE)
    assert text.diff == (
        "--- /dev/null\n+++ b/d/text\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end\n"
    )
    digest = hashlib.sha256(b"\x7fELF").hexdigest()
    assert image.diff == (
        f"image: binary files differ\n-does not exist\n+4 bytes, sha256 {digest}\n"
    )
    assert not root.exists()


def test_an_intact_file_is_updated_and_an_edited_one_is_named(tmp_path: Path) -> None:
    write(tree(intact=HEADER + "1\n", edited=HEADER + "1\n", same=HEADER), tmp_path)
    edited = tmp_path / "edited"
    edited.write_text(edited.read_text() + "by hand\n")
    found = plan(tree(intact=HEADER + "2\n", edited=HEADER + "1\n", same=HEADER), tmp_path)
    assert kinds(found) == {"edited": "edited", "intact": "update", "same": "unchanged"}
    assert "-by hand\n" in found[0].diff
    assert "\n-1\n" in found[1].diff
    assert "\n+2\n" in found[1].diff
    assert found[2].diff == ""


def test_an_edit_replaces_the_text_that_it_was_made_of_only(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("1\n")
    edits = hashlib.sha256(b"1\n").hexdigest()
    edit = Tree({PurePosixPath("theirs"): TextFile("2\n", edits=edits)})
    assert kinds(plan(edit, tmp_path)) == {"theirs": "update"}
    theirs.write_text("3\n")
    assert kinds(plan(edit, tmp_path)) == {"theirs": "edited"}
    with pytest.raises(InputError, match="edited by hand"):
        write(edit, tmp_path)
    theirs.write_text("1\n")
    assert kinds(write(edit, tmp_path)) == {"theirs": "update"}
    assert kinds(write(edit, tmp_path)) == {"theirs": "unchanged"}


def test_unsealed_text_that_differs_counts_as_edited(tmp_path: Path) -> None:
    write(tree(json="{}\n"), tmp_path)
    assert kinds(plan(tree(json="{}\n"), tmp_path)) == {"json": "unchanged"}
    assert kinds(plan(tree(json="[]\n"), tmp_path)) == {"json": "edited"}


def test_a_copy_is_ours_while_a_sealed_file_beside_it_names_its_digest(tmp_path: Path) -> None:
    old, new = copied(b"\0old"), copied(b"\0newer")
    image = PurePosixPath("p/image")

    def files(file: CopiedFile) -> Tree:
        return one("p/distinfo", f"{HEADER}SHA256 = {file.sha256}\n") | Tree({image: file})

    write(files(old), tmp_path)
    change = plan(files(new), tmp_path)[1]
    assert change.kind is ChangeKind.UPDATE
    assert change.diff == (
        "p/image: binary files differ\n"
        f"-4 bytes, sha256 {old.sha256}\n+6 bytes, sha256 {new.sha256}\n"
    )
    distinfo = tmp_path / "p" / "distinfo"
    distinfo.write_text(distinfo.read_text() + "# edited\n")
    assert kinds(plan(files(new), tmp_path)) == {"p/distinfo": "edited", "p/image": "edited"}
    distinfo.unlink()
    assert kinds(plan(files(new), tmp_path)) == {"p/distinfo": "create", "p/image": "edited"}


def test_a_text_in_place_of_binary_bytes_is_shown_by_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    (change,) = plan(tree(a="text\n"), tmp_path)
    assert change.kind is ChangeKind.EDITED
    assert "binary files differ\n-2 bytes" in change.diff


def test_a_diff_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (change,) = plan(tree(a="\x1b]0;owned\x07\r\u202e\n"), tmp_path)
    assert "+\\x1b]0;owned\\x07\\r\\u202e\n" in change.diff


# writing


def test_bytes_and_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files = one("d/run", "#!/bin/sh\n", executable=True) | one("d/text")
        write(files | Tree({PurePosixPath("e/image"): copied(b"\x7fELF")}), tmp_path / "new/out")
    finally:
        os.umask(before)
    root = tmp_path / "new/out"
    modes = {str(p.relative_to(root)): stat.S_IMODE(p.stat().st_mode) for p in root.rglob("*")}
    assert modes == {"d": 0o755, "e": 0o755, "d/run": 0o755, "d/text": 0o644, "e/image": 0o644}
    assert (root / "d/text").read_bytes() == b"x\n"
    assert (root / "e/image").read_bytes() == b"\x7fELF"


def test_a_lost_executable_bit_is_restored(tmp_path: Path) -> None:
    files = one("run", executable=True)
    write(files, tmp_path)
    (tmp_path / "run").chmod(0o644)
    (change,) = write(files, tmp_path)
    assert (change.kind, change.diff) == (ChangeKind.UPDATE, "run: mode 0644 -> 0755\n")
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    write(tree(same=HEADER, other=HEADER + "1"), tmp_path)
    os.utime(tmp_path / "same", ns=(1, 1_600_000_000_123_456_789))
    before = (tmp_path / "same").stat()
    found = write(tree(same=HEADER, other=HEADER + "2"), tmp_path)
    after = (tmp_path / "same").stat()
    assert kinds(found) == {"other": "update", "same": "unchanged"}
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert (tmp_path / "other").read_text().endswith("2")


def test_a_hand_edit_keeps_everything_from_being_written(tmp_path: Path) -> None:
    write(tree(a=HEADER, b=HEADER), tmp_path)
    (tmp_path / "b").write_text("mine\n")
    before = snapshot(tmp_path)
    with pytest.raises(InputError) as caught:
        write(tree(a=HEADER + "new\n", b=HEADER, c="new"), tmp_path)
    assert "-mine\n" in str(caught.value)
    assert "have been kept" in str(caught.value)
    assert "--force" in str(caught.value)
    assert "pkggen.yaml" in str(caught.value)
    assert snapshot(tmp_path) == before


def test_force_overwrites_hand_edits_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine\n")
    found = write(tree(a=HEADER), tmp_path, force=True)
    assert kinds(found) == {"a": "edited"}
    assert (tmp_path / "a").read_text() == sealed(HEADER)


@pytest.mark.parametrize(
    ("delivered", "promised"),
    [(b"evil", b"good"), (b"goo", b"good"), (b"good and more", b"good"), (b"", b"good")],
)
def test_a_copy_with_other_bytes_is_refused_before_anything_is_visible(
    tmp_path: Path, delivered: bytes, promised: bytes
) -> None:
    write(tree(a=HEADER), tmp_path)
    before = snapshot(tmp_path)
    lying = CopiedFile(Bytes(delivered), hashlib.sha256(promised).hexdigest(), len(promised))
    with pytest.raises(VerificationError, match=r"d/image: expected 4 bytes with sha256"):
        write(tree(a=HEADER + "2") | Tree({PurePosixPath("d/image"): lying}), tmp_path)
    assert snapshot(tmp_path) == before


def test_a_copy_of_another_size_is_refused_even_with_its_digest(tmp_path: Path) -> None:
    lying = CopiedFile(Bytes(b"good"), hashlib.sha256(b"good").hexdigest(), 5)
    with pytest.raises(VerificationError, match="expected 5 bytes"):
        write(Tree({PurePosixPath("image"): lying}), tmp_path)
    assert snapshot(tmp_path) == {}


def test_a_source_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    class Endless(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            assert self.reads < 4, "read on after the promised size"
            return b"x" * (size or 1)

    class Source:
        @contextmanager
        def open(self) -> Iterator[BinaryIO]:
            yield Endless()

    with pytest.raises(VerificationError, match="got more"):
        write(Tree({PurePosixPath("image"): CopiedFile(Source(), "0" * 64, 4)}), tmp_path)
    assert snapshot(tmp_path) == {}


# faults


def test_a_failing_rename_leaves_the_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tree(a=HEADER + "1", b=HEADER + "1"), tmp_path)
    before = snapshot(tmp_path)
    new = tree(a=HEADER + "2", b=HEADER + "2") | one("aa/bb/c")
    calls: list[str] = []
    genuine = os.replace

    def replace(source: Path, target: Path) -> None:
        calls.append(target.name)
        if len(calls) == 3:
            raise OSError(errno.EIO, "Input/output error")
        genuine(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ToolError, match=r"/b: the system refused .*: Input/output error"):
        write(new, tmp_path)
    assert calls == ["a", "c", "b", "a"]
    assert snapshot(tmp_path) == before
    monkeypatch.undo()
    write(new, tmp_path)
    assert (tmp_path / "aa/bb/c").read_text() == "x\n"


@pytest.mark.parametrize("failing", [1, 2])
def test_a_full_disk_leaves_the_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    write(tree(a=HEADER + "1"), tmp_path)
    before = snapshot(tmp_path)
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ToolError, match="No space left on device"):
        write(tree(a=HEADER + "2") | one("d/e/f"), tmp_path)
    assert len(synced) == failing
    assert snapshot(tmp_path) == before


def test_an_interrupt_leaves_the_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise KeyboardInterrupt(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        write(one("d/e"), tmp_path / "out")
    assert snapshot(tmp_path) == {}


def test_a_missing_source_leaves_the_earlier_state(tmp_path: Path) -> None:
    class Gone:
        @contextmanager
        def open(self) -> Iterator[BinaryIO]:
            message = "the record is gone"
            raise InputError(message)
            yield io.BytesIO()

    files = one("a") | Tree({PurePosixPath("d/image"): CopiedFile(Gone(), "0" * 64, 1)})
    with pytest.raises(InputError, match="the record is gone"):
        write(files, tmp_path / "out")
    assert snapshot(tmp_path) == {}


def test_a_failure_to_put_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree(a=HEADER + "1", b=HEADER + "1"), tmp_path)
    genuine = os.replace
    calls: list[Path] = []

    def replace(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EROFS, "Read-only file system")
        genuine(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ToolError, match="a: the earlier file could not be put back"):
        write(tree(a=HEADER + "2", b=HEADER + "2"), tmp_path)
    assert sorted(snapshot(tmp_path)) == ["a", "b"]


# what is in the way


def test_symbolic_links_are_never_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    root = tmp_path / "out"
    root.mkdir()
    (root / "dir").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    (root / "dangling").symlink_to(outside / "new")
    (root / "gone").symlink_to(outside / "nowhere")
    before = snapshot(tmp_path)
    for path in ("dir/file", "dir/sub/new", "file", "dangling", "gone/x"):
        for force in (False, True):
            with pytest.raises(InputError, match=r"in the way: .*symbolic link"):
                write(one(path), root, force=force)
    assert snapshot(tmp_path) == before


def test_the_root_itself_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(one("a"), tmp_path / "link")
    assert (tmp_path / "real/a").read_text() == "x\n"


def test_everything_in_the_way_is_reported_together(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Faults) as caught:
        write(one("directory") | one("file/x") | one("fifo") | one("fine"), tmp_path)
    assert [str(f.where) for f in caught.value.faults] == [
        str(tmp_path / name) for name in ("directory", "fifo", "file")
    ]
    assert not (tmp_path / "fine").exists()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(InputError, match="root: is not a directory"):
        plan(one("a"), tmp_path / "root")


def test_a_directory_without_permission_is_told_by_path(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("PERMISSIONS NOT TESTED: this user may write everywhere")
    try:
        with pytest.raises(ToolError, match=r"a: the system refused .*Permission denied"):
            write(one("a"), tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_name_that_the_file_system_refuses_is_told_by_path(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"nnn: the system refused .*File name too long"):
        write(one("n" * 300), tmp_path)
    assert snapshot(tmp_path) == {}


def test_hand_edits_are_kept_beside_the_new_text(tmp_path: Path) -> None:
    rules = PurePosixPath("debian/rules")
    first = Tree({rules: TextFile(f"# {SEAL}\none\n"), PurePosixPath("debian/x"): TextFile("a\n")})
    write(first, tmp_path)
    second = Tree({rules: TextFile(f"# {SEAL}\ntwo\n"), PurePosixPath("debian/x"): TextFile("a\n")})
    assert with_edited_beside(second, tmp_path, ".hint") == second
    with (tmp_path / rules).open("a") as stream:
        stream.write("mine\n")
    kept = with_edited_beside(second, tmp_path, ".hint")
    assert [str(path) for path in kept] == ["debian/rules.hint", "debian/x"]
    write(kept, tmp_path)
    assert (tmp_path / rules).read_text().endswith("one\nmine\n")
    assert (tmp_path / "debian/rules.hint").read_text().endswith("two\n")
