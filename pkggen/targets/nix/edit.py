"""The next release in an expression that people wrote: only what has to change is changed.

Sources: nixpkgs `pkgs/by-name/so/solo5/package.nix` (the shape), `pkgs/build-support/fetchurl`
(hashes), `pkgs/stdenv/generic/setup.sh` (`--replace` of `substitute` is given up; what it did is
`--replace-warn`) and `pkgs/build-support/cc-wrapper` (`pie` is no longer a choice).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, VerificationError
from pkggen.recipe.versions import NixVersion, is_earlier
from pkggen.targets.nix import quote
from pkggen.targets.nix.syntax import Kind, Token, attributes, inside, literal, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pkggen.recipe.model import Release
    from pkggen.targets.nix.syntax import Attribute

_HASHES: Final = ("hash", "sha256", "sha512")
_VERSIONS: Final = (("version",), ("finalAttrs", ".", "version"))
"""What a URL may have between `${` and `}`."""
# A line of shell together with those that it continues on, and an option in it.
_COMMAND: Final = re.compile(r"(?:\\\n|[^\n])+")
_SUBSTITUTE: Final = re.compile(r"\s*substitute(?:InPlace)?\s")
_REPLACE: Final = re.compile(r"(?<=\s)--replace(?=\s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An expression with another release."""

    text: str
    """All of it; as it was when it builds this release already."""
    old_version: str
    """Version before."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A piece of the text that is replaced."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""
    text: str
    """What comes there instead."""


def with_release(text: str, release: Release, file: str) -> Edited:
    """Return an expression with version, address and hash of a release.

    What nixpkgs has given up since is put right on the way: `hardeningEnable = [ "pie" ]`, and
    `--replace` of `substitute`.

    Args:
        text: The expression, of one derivation with one source.
        release: What it is to build.
        file: Its name, for messages.

    Raises:
        InputError: the expression has not the expected shape, or builds a later release.
        VerificationError: it builds this release already, but from other bytes.
    """
    code = [token for token in tokens(file, text) if token.kind is not Kind.COMMENT]
    return _Expression(file=file, text=text, code=tuple(code)).with_release(release)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expression:
    """An expression, and where things are in it."""

    file: str
    """Its name."""
    text: str
    """All of it."""
    code: tuple[Token, ...]
    """Its tokens but comments."""

    def with_release(self, release: Release) -> Edited:
        new = str(NixVersion(release.version))
        pname, version = self.only("pname"), self.only("version")
        if literal(pname) != release.name:
            raise self.unexpected(f"pname is not {release.name!r}")
        old = literal(version) or ""
        source = self.source()
        url, digest = self.one_of(source, ("url",)), self.one_of(source, _HASHES)
        if old == new:
            self.require_same(release, digest)
            return Edited(text=self.text, old_version=old)
        if is_earlier(new, old):
            raise InputError(
                f"it builds {old} already, and the record is of {new}",
                where=self.file,
                hint="record a newer build; an update never goes back",
            )
        best = release.checksums[0]
        changes = [
            _replaced(version, quote.string(new)),
            *self.address(url.value, release, new),
            _Change(digest.start, digest.start + len(digest.name), "hash"),
            _replaced(digest.value, quote.sri(best.digest, best.kind)),
            *self.hardening(),
            *self.substitutes(),
        ]
        return Edited(text=_applied(self.text, changes), old_version=old)

    def unexpected(self, what: str) -> InputError:
        return InputError(
            f"the expression has not the expected shape: {what}",
            where=self.file,
            hint="update it by hand, with the url and the checksum of opam-switch",
        )

    def require_same(self, release: Release, digest: Attribute) -> None:
        """Raise unless the stated hash is a recorded one."""
        stated = literal(digest.value) or ""
        kind, digits = _decoded(digest.name, stated)
        recorded = {one.kind: one.digest for one in release.checksums}.get(kind)
        if recorded is None:
            raise self.unexpected(
                f"{release.version} is there already, and its hash {stated!r} cannot be compared "
                f"with {' and '.join(map(str, release.checksums))}"
            )
        if recorded != digits:
            raise VerificationError(
                f"{release.version} has the {kind} {digits} there, but {recorded} in the record",
                where=self.file,
                hint="one release has two archives: find out why before trusting either",
            )

    # Where things are

    def assigned(self, name: str) -> Iterator[int]:
        """Yield the index of each first token behind `name =`."""
        for index, (word, equals) in enumerate(pairwise(self.code[:-1])):
            inner = index > 0 and self.code[index - 1].text == "."
            is_name = word.kind is Kind.WORD and word.text == name and not inner
            if is_name and equals.kind is Kind.OPERATOR and equals.text == "=":
                yield index + 2

    def only(self, name: str) -> tuple[Token, ...]:
        """Return the plain string that an attribute is set to, in one place of the expression."""
        places = [*self.assigned(name)]
        if len(places) != 1 or self.code[places[0]].kind is not Kind.OPEN:
            raise self.unexpected(f"{name} is not set exactly once, to a string")
        value = self.enclosed(places[0])
        if literal(value) is None or self.code[places[0] + len(value)].text != ";":
            raise self.unexpected(f"{name} is no plain string")
        return value

    def enclosed(self, opening: int) -> tuple[Token, ...]:
        """Return an opening token, what it encloses, and the closing one."""
        return self.code[opening : opening + len(inside(self.code, opening)) + 2]

    def source(self) -> tuple[Token, ...]:
        """Return what is between the braces of `src = fetchurl { }`."""
        calls = [
            index + 1
            for index in self.assigned("src")
            if [token.text for token in self.code[index : index + 2]] == ["fetchurl", "{"]
        ]
        if len(calls) != 1:
            raise self.unexpected("there is not exactly one `src = fetchurl { ... }`")
        return inside(self.code, calls[0])

    def one_of(self, source: Sequence[Token], names: Iterable[str]) -> Attribute:
        """Return the one attribute of a source that has one of the names."""
        found = [one for one in attributes(source) if one.name in names]
        value = found[0].value if len(found) == 1 else ()
        is_string = bool(value) and value[0].text == '"'
        if not is_string or any(token.depth == value[0].depth for token in value[1:-1]):
            raise self.unexpected(f"src has not exactly one {' or '.join(names)}, a string")
        return found[0]

    # What is changed

    def address(self, url: Sequence[Token], release: Release, new: str) -> Iterator[_Change]:
        """Yield the change of a URL that is not the release's once the version is."""
        pieces: list[str] = []
        interpolation = None
        for index, token in enumerate(url[1:-1], start=1):
            if token.depth > url[0].depth + 1:
                continue
            if token.kind is Kind.OPEN:
                words = tuple(one.text for one in inside(url, index))
                if words not in _VERSIONS:
                    raise self.unexpected(f"the url has ${{{' '.join(words)}}} in it")
                interpolation = f"${{{''.join(words)}}}"
                pieces.append(new)
            elif token.kind is Kind.TEXT:
                pieces.append(token.text)
            elif token.kind is Kind.ESCAPE:
                raise self.unexpected("the url has escapes in it")
        if "".join(pieces) in release.urls:
            return
        text: str = quote.string(release.urls[0])
        yield _replaced(url, text if interpolation is None else text.replace(new, interpolation))

    def hardening(self) -> Iterator[_Change]:
        """Yield the removal of `pie` from what hardening adds, if that is a plain list."""
        for opening in self.assigned("hardeningEnable"):
            if self.code[opening].text != "[":
                continue
            value = self.enclosed(opening)
            quotes = [token for token in value[1:-1] if token.depth == value[0].depth + 1]
            if any(token.text != '"' for token in quotes):
                continue
            pairs = zip(quotes[::2], quotes[1::2], strict=True)
            named = {self.text[first.start : last.end]: (first, last) for first, last in pairs}
            if '"pie"' not in named or self.code[opening + len(value)].text != ";":
                continue
            if len(named) == 1:
                statement = self.code[opening - 2], self.code[opening + len(value)]
                yield self.without_lines(statement[0].start, statement[1].end)
            else:
                first, last = named['"pie"']
                blank = re.compile(r"\s*").match(self.text, last.end)
                yield _Change(first.start, blank.end() if blank else last.end, "")

    def without_lines(self, start: int, end: int) -> _Change:
        """Return the removal of a statement; with its lines, and one of the blank ones around."""
        line = self.text.rfind("\n", 0, start) + 1
        rest = re.compile(r"[ \t]*\n").match(self.text, end)
        if self.text[line:start].strip() or rest is None:
            return _Change(start, end, "")
        end = rest.end()
        if self.text.endswith("\n\n", 0, line) and self.text.startswith("\n", end):
            end += 1
        return _Change(line, end, "")

    def substitutes(self) -> Iterator[_Change]:
        """Yield the change of each `--replace` in a call of `substitute`."""
        texts = [token for token in self.code if token.kind is Kind.TEXT]
        for command in _COMMAND.finditer(self.text):
            if _SUBSTITUTE.match(command[0]):
                for option in _REPLACE.finditer(self.text, *command.span()):
                    if any(token.start <= option.start() < token.end for token in texts):
                        yield _Change(*option.span(), "--replace-warn")


def _replaced(value: Sequence[Token], text: str) -> _Change:
    return _Change(value[0].start, value[-1].end, text)


def _applied(text: str, changes: Iterable[_Change]) -> str:
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _decoded(name: str, stated: str) -> tuple[str, str]:
    """Return kind and hexadecimal digits of a hash; the kind is empty where they are not known."""
    if re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", stated):
        return name, stated
    kind, _, text = stated.partition("-")
    try:
        return kind, base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return "", ""
