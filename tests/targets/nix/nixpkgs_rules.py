"""nixpkgs' rules for a new package, as far as they can be told without nixpkgs' own tools.

Sources: NixOS/nixpkgs-vet (NPV numbers), nixpkgs `pkgs/README.md`, `.editorconfig` and
`ci/github-script/lint-commits.ts`, NixOS/nixfmt (layout), jtojnar/nixpkgs-hammering
`lib/derivation-attributes.nix` (order).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

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
_SUBJECTIVE: Final = re.compile(r"\b(best|beautiful|easy|fast|great|powerful|simple)\b", re.I)
_CONVENTIONAL: Final = re.compile(
    r"(feat|fix|docs|style|refactor|perf|test|build|ci|chore|revert)(\(.*\))?!?:", re.I
)


def formatting(text: str) -> Iterator[str]:
    """Yield what editorconfig-checker and nixfmt would find in any expression."""
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "must end with exactly one newline"
    if "\r" in text or "\t" in text:
        yield "carriage return or tabulator"
    if "\n\n\n" in text:
        yield "two blank lines in a row"
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip(" "))
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line).strip()
        if line != line.rstrip():
            yield f"{number}: trailing blanks"
        if indent % 2:
            yield f"{number}: odd indentation"
        if len(line) > 100 and "://" not in line and "description = " not in line:
            yield f"{number}: {len(line)} columns"
        if code.startswith("#"):
            continue
        if re.search(r"\[ [^\[\]]*\S \S[^\[\]]* \]", code) and "$" not in code:
            yield f"{number}: a list of several elements on one line"
        if re.search(r"\[\]|\{\}|\[\S+\]", code) and "'" not in code:
            yield f"{number}: no blank inside of brackets"
        if re.search(r"[^\s=!<>]=(\s|$)|\s=[^\s=]", code) and "==" not in code and "'" not in code:
            yield f"{number}: no blanks around ="


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
    arguments = re.findall(r"^  (\w+)( \? .*)?,$", head, re.M)
    code = "".join(line for line in head.splitlines(keepends=True) if not line.startswith("#"))
    if code != "{\n" + "".join(f"  {name}{default},\n" for name, default in arguments):
        yield "arguments are not one per line with a comma behind each"
    for name, _ in arguments:
        if not re.search(rf"\b{name}\b", body):
            yield f"argument {name} is not used"
    attributes = re.findall(r"^  (\w+) =", body, re.M)
    ranks = [_ORDER.index(name) for name in attributes if name in _ORDER]
    if ranks != sorted(ranks):
        yield f"order of attributes: {attributes}"
    if attributes[-1:] != ["meta"] or attributes[-2:-1] != ["passthru"]:
        yield "passthru and meta must come last"
    for flag, code_number in (("strictDeps", "NPV-164"), ("__structuredAttrs", "NPV-166")):
        if f"\n  {flag} = true;\n" not in body:
            yield f"{code_number}: {flag}"
    if "phases" in attributes:
        yield "phases must never be set"
    for phase, script in re.findall(r"^  (\w+)Phase = ''\n(.*?)^  '';", body, re.M | re.S):
        lines = [line.strip() for line in script.splitlines()]
        hook = phase[0].upper() + phase[1:]
        if lines[0] != f"runHook pre{hook}" or lines[-1] != f"runHook post{hook}":
            yield f"{phase}Phase does not run its hooks"
    if "dontFixup" in attributes and "# " not in body.split("dontFixup")[0].splitlines()[-2]:
        yield "a disabled phase that is not obvious needs a comment"
    bare = re.sub(r'"(\\.|[^"\\])*"', '""', body)
    if re.search(r"<[a-z]+>|(?<![\w.:$])(~/|\.\./)|(?<=[ (])/[a-z]", bare):
        yield "NPV-120 to 128: a path leaves the directory"
    if re.search(r"\brec\b|\bwith lib;", bare):
        yield "rec or with lib"
    if re.search(r"\\(?![\\\"$nrt])", body):
        yield "NPV-170: useless escape"


def meta(pname: str, version: str, values: Mapping[str, object], *, submitted: bool) -> Iterator[str]:
    """Yield breaches in evaluated `meta`, name and version."""
    if pname != pname.lower():
        yield "pname has upper case"
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+_-]*?(-unstable-\d{4}-\d{2}-\d{2})?", version):
        yield f"version {version}"
    required = {"description", "license", "sourceProvenance", "maintainers", "platforms"}
    for name in sorted(required - values.keys()):
        yield f"meta.{name} is missing"
    description = str(values.get("description", ""))
    if not description[:1].isupper() and not description[:1].isdigit():
        yield "description is not capitalised"
    if re.match(r"(A|An|The) ", description):
        yield "description begins with an article"
    if description.endswith((".", "!", " ")) or "\n" in description:
        yield "description is not one plain phrase"
    if description.lower().startswith(pname.lower()):
        yield "description begins with the name"
    if _SUBJECTIVE.search(description):
        yield "description is subjective"
    if values.get("sourceProvenance") == []:
        yield "sourceProvenance is empty"
    if submitted and not values.get("maintainers"):
        yield "no maintainer"
    if "mainProgram" in values:
        yield "mainProgram without $out/bin"


def commit(subject: str) -> Iterator[str]:
    """Yield what lint-commits.ts would say."""
    if ": " not in subject:
        yield "no `: `"
    if subject.endswith("."):
        yield "final full stop"
    if _CONVENTIONAL.match(subject):
        yield "conventional commit"
    if subject.startswith(("fixup!", "squash!", "amend!")):
        yield "fixup"
    if "\n" in subject or len(subject) > 100:
        yield "not one short line"
