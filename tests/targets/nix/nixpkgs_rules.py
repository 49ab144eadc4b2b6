"""nixpkgs' rules for a new package, as far as they can be told without nixpkgs' own tools.

Sources: NixOS/nixpkgs-vet (NPV numbers), nixpkgs `pkgs/README.md`, `.editorconfig` and
`ci/github-script/lint-commits.ts`, NixOS/nixfmt (layout), jtojnar/nixpkgs-hammering
`lib/derivation-attributes.nix` (order).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import PurePosixPath

_ORDER: Final = (
    "pname",
    "version",
    "src",
    "dontUnpack",
    "dontConfigure",
    "dontBuild",
    "dontFixup",
    "installPhase",
    "passthru",
    "meta",
)
_IN_TEXT: Final = {
    "does not end with exactly one newline": r"(?<!\n)\Z|\n\n\Z",
    "carriage return or tabulator": r"[\r\t]",
    "two blank lines in a row": r"\n\n\n",
    "trailing blanks": r"(?m) $",
    "odd indentation": r"(?m)^(  )* (?! )",
    "long line": r"(?m)^(?!.*(://|description = )).{101}",
}
_IN_CODE: Final = {
    "a list of several elements on one line": r"\[ [^\[\](){}\n]*\S \S[^\[\]\n]* \]",
    "no blank inside of brackets": r"\[[^\s]|[^\s]\]|(?<!\$)\{[^\s]",
    "no blanks around =": r"[^\s=!<>]=|=[^\s=]",
}
_IN_PACKAGE: Final = {
    "NPV-120 to 128: a path leaves the directory": (
        r"<[a-z]+>|(?<![\w.:$])(~/|\.\./)|(?<=[ (])/[a-z]"
    ),
    "rec": r"\brec\b",
    "with lib": r"\bwith lib;",
    "phases must never be set": r"(?m)^  phases =",
}
_IN_DESCRIPTION: Final = {
    "description is not capitalised": r"\A[^A-Z0-9]",
    "description begins with an article": r"\A(A|An|The) ",
    "description is not one plain phrase": r"[.! ]\Z|\n",
    "description is subjective": r"(?i)\b(best|beautiful|easy|fast|great|powerful|simple)\b",
}
_IN_SUBJECT: Final = {
    "no `: `": r"\A(?!.*: )",
    "final full stop": r"\.\Z",
    "conventional commit": (
        r"(?i)\A(feat|fix|docs|style|refactor|perf|test|build|ci|chore|revert)(\(.*\))?!?:"
    ),
    "fixup": r"\A(fixup|squash|amend)!",
    "not one short line": r"\n|.{101}",
}
_META: Final = ("description", "license", "sourceProvenance", "maintainers", "platforms")
_NO_CODE: Final = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\])*"|''(?:''['$\\]|'(?!')|[^'])*''""", re.DOTALL
)


def _found(rules: Mapping[str, str], text: str) -> Iterator[str]:
    for message, pattern in rules.items():
        if found := re.search(pattern, text):
            yield f"{message}: {text[found.start() :][:60]!r}"


def _code(text: str) -> str:
    """Return the text without comments and with empty strings."""
    return _NO_CODE.sub(lambda match: "" if match[0].startswith("#") else '""', text)


def formatting(text: str) -> Iterator[str]:
    """Yield what editorconfig-checker and nixfmt would find in any expression."""
    yield from _found(_IN_TEXT, text)
    yield from _found(_IN_CODE, _code(text))


def layout(path: PurePosixPath) -> Iterator[str]:
    """Yield breaches of the layout of by-name (NPV-101 to 111)."""
    match path.parts:
        case ("pkgs", "by-name", shard, name, "package.nix"):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
                yield f"NPV-101: name {name}"
            if shard != name[:2].lower():
                yield f"NPV-102: {name} is in shard {shard}"
        case _:
            yield f"not pkgs/by-name/<shard>/<name>/package.nix: {path}"


def package(text: str) -> Iterator[str]:
    """Yield breaches in the text of a package.nix."""
    head, _, body = text.partition("}:\n\n")
    yield from _arguments(_code(head).lstrip("\n"), body)
    yield from _attributes(body)
    yield from _phases(body)
    yield from _found(_IN_PACKAGE, _code(body))
    if re.search(r"(?<!\\)(\\\\)*\\(?![\\\"nrt]|\$\{)", body):
        yield "NPV-170: useless escape"


def _arguments(head: str, body: str) -> Iterator[str]:
    names = re.findall(r"(?m)^  (\w+),$", head)
    if head != "{\n" + "".join(f"  {name},\n" for name in names):
        yield "arguments are not one per line with a comma behind each"
    for name in names:
        if not re.search(rf"\b{name}\b", _code(body)):
            yield f"argument {name} is not used"


def _attributes(body: str) -> Iterator[str]:
    names = re.findall(r"(?m)^  (\w+) =", body)
    ranks = [_ORDER.index(name) for name in names if name in _ORDER]
    if ranks != sorted(ranks):
        yield f"order of attributes: {names}"
    if names[-2:] != ["passthru", "meta"]:
        yield "passthru and meta must come last"
    for flag, rule in (("strictDeps", "NPV-164"), ("__structuredAttrs", "NPV-166")):
        if f"\n  {flag} = true;\n" not in body:
            yield f"{rule}: {flag}"


def _phases(body: str) -> Iterator[str]:
    for phase, script in re.findall(r"(?ms)^  (\w+)Phase = ''\n(.*?)^  '';", body):
        lines = [line.strip() for line in script.splitlines()]
        hook = f"{phase[0].upper()}{phase[1:]}"
        if lines[0] != f"runHook pre{hook}" or lines[-1] != f"runHook post{hook}":
            yield f"{phase}Phase does not run its hooks"
    if re.search(r"(?m)^(?!  #).*\n  dontFixup =", body):
        yield "a disabled phase that is not obvious needs a comment"


def meta(
    pname: str, version: str, values: Mapping[str, object], *, submitted: bool
) -> Iterator[str]:
    """Yield breaches in evaluated `meta`, name and version."""
    description = str(values.get("description", ""))
    yield from (f"meta.{name} is missing" for name in _META if name not in values)
    yield from _found(_IN_DESCRIPTION, description)
    if pname != pname.lower():
        yield "pname has upper case"
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+_-]*?(-unstable-\d{4}-\d{2}-\d{2})?", version):
        yield f"version {version}"
    if description.lower().startswith(pname.lower()):
        yield "description begins with the name"
    if values.get("sourceProvenance") == []:
        yield "sourceProvenance is empty"
    if submitted and not values.get("maintainers"):
        yield "no maintainer"
    if "mainProgram" in values:
        yield "mainProgram without $out/bin"


def commit(subject: str) -> Iterator[str]:
    """Yield what lint-commits.ts would say."""
    yield from _found(_IN_SUBJECT, subject)
