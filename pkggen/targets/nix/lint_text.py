"""nixpkgs' rules for any text, and for any expression."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, Place
from pkggen.targets.nix import names
from pkggen.targets.nix.finding import Finding, exists, package_of, resolved_in
from pkggen.targets.nix.lint_package import Package
from pkggen.targets.nix.syntax import (
    Kind,
    Token,
    inside,
    literal,
    tokens,
    without_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import PurePosixPath

    from pkggen.recipe.finding import Entry

_IN_TEXT: Final = {
    "final-newline": (r"(?<!\n)\Z|\n\n\Z", "the file must end with exactly one newline"),
    "line-end": (r"\r", "lines must end with a newline only"),
    "trailing-blanks": (r"(?m)[ \t]+$", "blanks at the end of a line"),
}
_IN_CODE: Final = {
    "blank-lines": (r"\n\n\n", "two blank lines in a row"),
    "indentation": (r"\t|(?m:^)(?:  )* (?! )", "indentation is a multiple of two spaces"),
    "list-layout": (
        r"\[ [^\[\](){}\n]*[^\s\[\](){}] [^\s\[\]][^\[\]\n]* \]",
        "a list of several elements has one on each line",
    ),
    "brackets": (r"\[[^\s]|[^\s]\]|(?<!\$)\{[^\s]", "a blank belongs inside of the bracket"),
    "equals": (r"[^\s=!<>]=|=[^\s=]", "blanks belong around ="),
}
_IN_PACKAGE: Final = {
    "rec": (r"\brec\b", "use finalAttrs instead of rec"),
    "with-lib": (r"\bwith lib;", "name what is taken from lib"),
    "fetchpatch": (r"\bfetchpatch\b", "use fetchpatch2"),
    "override-attrs": (r"\.overrideAttrs\b", "nixpkgs takes no new overrideAttrs"),
    "unfree": (r"\bunfree\w*", "packages without a free licence are not built"),
    "import-from-derivation": (
        r"\b(?:import|readFile|readDir)\b(?!\s+\.\.?/)",
        "only files beside the package may be read at evaluation",
    ),
}
MAX_LINE: Final = 100

_USELESS_ESCAPE: Final = {'"': re.compile(r'\\[^"\\nrt$]'), "''": re.compile(r"''\\[^nrt$]")}

_HASH_BYTES: Final = {"sha256": 32, "sha512": 64}
_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MIRRORS: Final = {
    "ftp.gnu.org/gnu/": "gnu",
    "ftpmirror.gnu.org/": "gnu",
    "downloads.sourceforge.net/": "sourceforge",
    "cdn.kernel.org/pub/": "kernel",
    "www.kernel.org/pub/": "kernel",
    "download.gnome.org/": "gnome",
    "archive.apache.org/dist/": "apache",
    "dlcdn.apache.org/": "apache",
    "download.savannah.gnu.org/releases/": "savannah",
    "download.savannah.nongnu.org/releases/": "savannah",
    "files.pythonhosted.org/packages/": "pypi",
    "hackage.haskell.org/package/": "hackage",
    "deb.debian.org/debian/": "debian",
    "xorg.freedesktop.org/": "xorg",
    "ftp.postgresql.org/pub/": "postgresql",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A text, and what the rules look at."""

    path: PurePosixPath
    text: str
    tokens: tuple[Token, ...] = ()
    """Of an expression, without comments."""
    code: str = ""
    """Of an expression: `without_texts`."""

    @classmethod
    def findings(
        cls,
        path: PurePosixPath,
        entry: Entry,
        files: Mapping[PurePosixPath, Entry],
        *,
        submitted: bool,
    ) -> Iterator[Finding]:
        """Yield what is wrong with a text."""
        try:
            text = (entry.data or b"").decode()
        except UnicodeDecodeError as error:
            message = f"it is not UTF-8 at byte {error.start}"
            yield Finding(path=path, rule="encoding", message=message)
            return
        file = cls(path=path, text=text)
        yield from file.matches(_IN_TEXT, text)
        if path.suffix == ".json":
            yield from file.data()
        if path.suffix == ".nix":
            yield from file.mode(executable=entry.executable)
            yield from file.expression(files, submitted=submitted)

    def at(self, offset: int, rule: str, message: str) -> Finding:
        """Return a finding at an offset."""
        place = Place.at("", self.text, offset)
        return Finding(
            path=self.path, line=place.line, column=place.column, rule=rule, message=message
        )

    def matches(self, rules: Mapping[str, tuple[str, str]], text: str) -> Iterator[Finding]:
        """Yield the first match of each pattern."""
        for rule, (pattern, message) in rules.items():
            if match := re.search(pattern, text):
                yield self.at(match.start(), rule, message)

    def data(self) -> Iterator[Finding]:
        """Yield what is wrong with a file of JSON."""
        try:
            json.loads(self.text)
        except (ValueError, RecursionError) as error:
            offset = error.pos if isinstance(error, json.JSONDecodeError) else 0
            yield self.at(offset, "json-syntax", f"it is not JSON: {error}")
            return
        for match in re.finditer(r'"(hash|sha256|sha512|md5)": ?"([^"]*)"', self.text):
            yield from self.digest(match.start(), match[1], match[2])

    def mode(self, *, executable: bool) -> Iterator[Finding]:
        """Yield a mode that does not fit the first line, and a missing header."""
        shebang = self.text.startswith("#!")
        if executable and not shebang:
            yield self.at(0, "NPV-145", "it is executable and has no shebang")
        if shebang and not executable:
            yield self.at(0, "NPV-146", "it has a shebang and is not executable")
        if not self.text.startswith(f"# {names.GENERATED}"):
            yield self.at(0, "header", f"the first line is not `# {names.GENERATED} ...`")

    def expression(
        self, files: Mapping[PurePosixPath, Entry], *, submitted: bool
    ) -> Iterator[Finding]:
        """Yield what is wrong with an expression."""
        try:
            every = tokens("", self.text)
        except InputError as error:
            place = error.where if isinstance(error.where, Place) else Place.at("", "", 0)
            yield Finding(
                path=self.path,
                line=place.line,
                column=place.column,
                rule="nix-syntax",
                message=error.message,
            )
            return
        file = File(
            path=self.path,
            text=self.text,
            tokens=tuple(token for token in every if token.kind is not Kind.COMMENT),
            code=without_texts(self.text, every),
        )
        yield from file.matches(_IN_CODE, file.code)
        yield from file.long_lines()
        yield from file.single_tokens()
        yield from file.stated()
        package = package_of(self.path)
        if package is not None:
            yield from file.matches(_IN_PACKAGE, file.code)
            yield from file.paths(package, files)
        if package is not None and self.path == package / names.PACKAGE_FILE:
            yield from Package(file, every).findings(submitted=submitted)

    def long_lines(self) -> Iterator[Finding]:
        """Yield lines that are too long even without the texts, which nixfmt does not break."""
        offset = 0
        for line in self.code.splitlines(keepends=True):
            if len(re.sub(r"_+|#+", "_", line.rstrip("\n"))) > MAX_LINE:
                yield self.at(offset, "line-length", f"more than {MAX_LINE} characters of code")
            offset += len(line)

    def single_tokens(self) -> Iterator[Finding]:
        """Yield URLs without quotes, and escapes that mean nothing."""
        opened: list[str] = []
        for token, behind in zip_longest(self.tokens, self.tokens[1:]):
            if token.kind is Kind.OPEN:
                opened.append(token.text)
            elif token.kind is Kind.CLOSE:
                opened.pop()
            elif token.kind is Kind.URL:
                yield self.at(token.start, "url-literal", "a URL belongs between quotes")
            elif token.kind is Kind.ESCAPE:
                dollar = token.text.endswith("$")
                before_brace = behind is not None and behind.text.startswith("{")
                if _USELESS_ESCAPE[opened[-1]].fullmatch(token.text) or (
                    dollar and not before_brace
                ):
                    yield self.at(token.start, "NPV-170", f"{token.text} needs no escape")

    def stated(self) -> Iterator[Finding]:
        """Yield wrong values of attributes that any fetcher has."""
        fetches_git = "fetchgit" in {token.text for token in self.tokens}
        for index, (name, equals) in enumerate(pairwise(self.tokens)):
            if name.kind is not Kind.WORD or equals.text != "=":
                continue
            value = self.tokens[index + 2 : index + 3]
            if not value or value[0].text not in {'"', "''"}:
                continue
            closing = len(inside(self.tokens, index + 2)) + index + 4
            text = literal(self.tokens[index + 2 : closing])
            if text is None:
                continue
            yield from self.digest(name.start, name.text, text)
            if name.text in {"url", "urls"}:
                yield from self.address(value[0].start, text, fetches_git=fetches_git)

    def digest(self, offset: int, name: str, value: str) -> Iterator[Finding]:
        """Yield a hash that nixpkgs does not take."""
        if name == "md5" or value.startswith("md5-") or (name, value) == ("outputHashAlgo", "md5"):
            yield self.at(offset, "md5", "md5 proves nothing; use sha256")
        elif name in {"hash", "sha256", "sha512", "outputHash"}:
            is_hex = name == "outputHash" and _HEX_SHA256.fullmatch(value)
            if not is_hex and not _is_sri(value, name):
                yield self.at(offset, "hash", f"{name} is not an SRI hash: {value!r}")

    def address(self, offset: int, url: str, *, fetches_git: bool) -> Iterator[Finding]:
        """Yield a URL for which nixpkgs has a better way."""
        rest = re.sub(r"\Ahttps?://", "", url)
        for host, mirror in _MIRRORS.items():
            if rest.startswith(host):
                yield self.at(offset, "mirror", f"use mirror://{mirror}/ instead of {host}")
        if fetches_git and rest.startswith(("github.com/", "gitlab.com/")):
            yield self.at(offset, "fetchgit", "use fetchFromGitHub or fetchFromGitLab")

    def paths(
        self, package: PurePosixPath, files: Mapping[PurePosixPath, Entry]
    ) -> Iterator[Finding]:
        """Yield paths that leave the directory of the package, or may."""
        end = None
        for token in self.tokens:
            continued = token.start == end  # behind an interpolation, which was found already
            end = token.end if token.text == "}" else None
            if token.kind is Kind.SEARCH:
                yield self.at(token.start, "NPV-122", f"a search path: {token.text}")
            if token.kind is not Kind.PATH or continued:
                continue
            resolved = resolved_in(self.path.parent, token.text)
            if self.text.startswith("${", token.end):
                yield self.at(token.start, "NPV-121", "a path with interpolation")
            elif token.text.startswith("/"):
                yield self.at(token.start, "NPV-127", f"an absolute path: {token.text}")
            elif token.text.startswith("~"):
                yield self.at(token.start, "NPV-128", f"a path in a home: {token.text}")
            elif package != resolved and package not in resolved.parents:
                yield self.at(token.start, "NPV-123", f"it leaves the package: {token.text}")
            elif not exists(resolved, files):
                yield self.at(token.start, "NPV-124", f"there is no such file: {token.text}")


def _is_sri(value: str, name: str) -> bool:
    algorithm, _, digest = value.partition("-")
    try:
        size = len(base64.b64decode(digest, validate=True))
    except ValueError:
        return False
    return size == _HASH_BYTES.get(algorithm) and name in {"hash", "outputHash", algorithm}
