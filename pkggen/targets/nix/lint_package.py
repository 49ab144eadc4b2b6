"""nixpkgs' rules for the expression of a package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pkggen.recipe import description
from pkggen.recipe.overrides import web_url
from pkggen.targets.nix import names
from pkggen.targets.nix.syntax import (
    Attribute,
    Kind,
    Token,
    attributes,
    inside,
    literal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pkggen.targets.nix.finding import Finding
    from pkggen.targets.nix.lint_text import File

_ORDER: Final = (
    *("pname", "version", "outputs", "src", "srcs", "patches"),
    *("nativeBuildInputs", "buildInputs", "propagatedNativeBuildInputs", "propagatedBuildInputs"),
    *("nativeCheckInputs", "checkInputs", "configureFlags", "makeFlags", "buildFlags"),
    *("checkFlags", "installFlags", "env", "doCheck", "doInstallCheck"),
    *("dontUnpack", "dontPatch", "dontConfigure", "dontBuild", "dontInstall", "dontFixup"),
    *("unpackPhase", "postUnpack", "patchPhase", "postPatch", "configurePhase", "buildPhase"),
    *("checkPhase", "installPhase", "postInstall", "fixupPhase", "postFixup", "installCheckPhase"),
    *("passthru", "meta"),
)
_META_ORDER: Final = (
    *("description", "longDescription", "homepage", "changelog", "license", "sourceProvenance"),
    *("maintainers", "mainProgram", "platforms", "badPlatforms", "broken"),
)
_NEEDED_META: Final = ("description", "license", "maintainers", "platforms")
_NEEDS_REASON: Final = re.compile(r"dont(?:Fixup|Strip|Patch\w+)|patches|\w+Flags")
_VERSION: Final = re.compile(r"[0-9](?:(?!unstable)[\w.+-])*(?:-unstable-\d{4}-\d\d-\d\d)?")
_SUBJECTIVE: Final = re.compile(
    r"\b(best|beautiful|easy|fast|great|powerful|simple)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Package:
    """The expression of a package."""

    file: File
    every: tuple[Token, ...]
    """Its tokens with comments."""

    def findings(self, *, submitted: bool) -> Iterator[Finding]:
        """Yield what is wrong; `submitted` is that of `lint.lint`."""
        yield from self._arguments()
        found = self._derivation()
        if found is None:
            yield self.file.at(0, "derivation", "it calls no mkDerivation with a set")
            return
        start, given = found
        by_name = {attribute.name: attribute for attribute in given}
        yield from self._required(start, by_name)
        yield from self._order(given)
        yield from self._phases(given)
        yield from self._meta(start, by_name, submitted=submitted)

    def _arguments(self) -> Iterator[Finding]:
        file = self.file
        first = file.tokens[0] if file.tokens else None
        if first is None or first.text != "{":
            yield file.at(0, "arguments", "it is no function of a set")
            return
        head = inside(file.tokens, 0)
        end = head[-1].end if head else first.end
        lines = file.code[first.end : end].split("\n")
        if lines[0] or not all(re.fullmatch(r"  ([\w'-]+( \? .+)?,|\.\.\.)", x) for x in lines[1:]):
            message = "one argument on each line, with a comma behind it"
            yield file.at(first.start, "arguments", message)
        used = {token.text for token in file.tokens[len(head) + 2 :]}
        for before, token in zip((first, *head), head, strict=False):
            is_name = token.depth == 1 and before.text in {"{", ","} and token.kind is Kind.WORD
            if is_name and token.text not in used:
                message = f"{token.text} is not used"
                yield file.at(token.start, "unused-argument", message)

    def _derivation(self) -> tuple[int, tuple[Attribute, ...]] | None:
        """Return the offset and the attributes of what mkDerivation gets."""
        texts = [token.text for token in self.every]
        try:
            opening = texts.index("{", texts.index("mkDerivation"))
        except ValueError:
            return None
        return self.every[opening].start, tuple(attributes(inside(self.every, opening)))

    def _required(self, start: int, given: Mapping[str, Attribute]) -> Iterator[Finding]:
        for name, rule in (("strictDeps", "NPV-164"), ("__structuredAttrs", "NPV-166")):
            if name not in given or _texts(given[name]) != ["true"]:
                yield self.file.at(start, rule, f"{name} must be true")
        pname, version = (self._literal(given, name) for name in ("pname", "version"))
        if pname is None or pname != pname.lower():
            yield self._in(given, "pname", start, "pname", "pname is a text without capitals")
        elif names.attribute(pname) != self.file.path.parent.name:
            message = f"the package {pname} is in the directory {self.file.path.parent.name}"
            yield self._in(given, "pname", start, "attribute-name", message)
        if version is None or not _VERSION.fullmatch(version):
            message = "version begins with a digit, and without a release ends with a date"
            yield self._in(given, "version", start, "version", f"{message}: {version}")

    def _order(self, given: Sequence[Attribute]) -> Iterator[Finding]:
        tops = [attribute.name.split(".")[0] for attribute in given]
        known = [
            (_ORDER.index(top), a) for top, a in zip(tops, given, strict=True) if top in _ORDER
        ]
        for (rank, _), (later, attribute) in pairwise(known):
            if later < rank:
                message = f"{attribute.name} belongs before {_ORDER[rank]}"
                yield self.file.at(attribute.start, "attribute-order", message)
        last = ["passthru", "meta"] if "passthru" in tops else ["meta"]
        if tops[-len(last) :] != last:
            message = "the last attributes are passthru and meta"
            yield self.file.at(given[-1].start if given else 0, "last-attributes", message)

    def _phases(self, given: Sequence[Attribute]) -> Iterator[Finding]:
        for attribute in given:
            name = attribute.name
            if name == "phases":
                yield self.file.at(attribute.start, "phases", "phases are never set")
            disabled = name in {"doCheck", "doInstallCheck"} and _texts(attribute) == ["false"]
            if (disabled or _NEEDS_REASON.fullmatch(name)) and not attribute.explained:
                message = f"a comment must say why there is {name}"
                yield self.file.at(attribute.start, "unexplained", message)
            if name.endswith("Phase") and attribute.value:
                hook = name.removesuffix("Phase")
                hook = f"{hook[:1].upper()}{hook[1:]}"
                script = self.file.text[attribute.value[0].end : attribute.value[-1].start]
                lines = script.split("\n")
                lines = [line.strip() for line in lines if line.strip()]
                if not lines or (lines[0], lines[-1]) != (
                    f"runHook pre{hook}",
                    f"runHook post{hook}",
                ):
                    message = f"{name} begins with `runHook pre{hook}`, ends with `post{hook}`"
                    yield self.file.at(attribute.start, "phase-hooks", message)

    def _meta(
        self, start: int, given: Mapping[str, Attribute], *, submitted: bool
    ) -> Iterator[Finding]:
        value = given["meta"].value if "meta" in given else ()
        if not value or value[0].text != "{":
            yield self.file.at(start, "meta", "meta must be a set")
            return
        stated = tuple(attributes(value[1:-1]))
        meta = {attribute.name: attribute for attribute in stated}
        start = given["meta"].start
        for name in _NEEDED_META:
            if name not in meta:
                yield self.file.at(start, "meta", f"meta.{name} is missing")
        ranks = [_META_ORDER.index(name) for name in meta if name in _META_ORDER]
        if ranks != sorted(ranks):
            order = ", ".join(_META_ORDER[rank] for rank in sorted(ranks))
            yield self.file.at(start, "meta-order", f"the order is {order}")
        yield from self._wording(start, meta, self._literal(given, "pname") or "")
        unbuilt = "dontBuild" in given and _texts(given["dontBuild"]) == ["true"]
        provenance = meta["sourceProvenance"].value if "sourceProvenance" in meta else ()
        if (unbuilt and not provenance) or [t.text for t in provenance] == ["[", "]"]:
            message = "what is not built from source needs meta.sourceProvenance"
            yield self.file.at(start, "source-provenance", message)
        if submitted and "maintainers" in meta and len(meta["maintainers"].value) == 2:
            message = "nixpkgs takes no package without a maintainer"
            yield self._in(meta, "maintainers", start, "no-maintainer", message)
        texts = (token.text for token in self.file.tokens if token.kind is Kind.TEXT)
        if "mainProgram" in meta and not any("$out/bin" in text for text in texts):
            message = "there is no program without $out/bin"
            yield self._in(meta, "mainProgram", start, "main-program", message)

    def _wording(self, start: int, meta: Mapping[str, Attribute], pname: str) -> Iterator[Finding]:
        text = self._literal(meta, "description")
        if text is not None:
            fault = description.fault(text, pname)
            if word := _SUBJECTIVE.search(text):
                fault = fault or f"is subjective: {word[0]}"
            if fault is not None:
                yield self._in(meta, "description", start, "description", f"description {fault}")
        homepage = self._literal(meta, "homepage")
        if homepage is not None and web_url(homepage) is None:
            yield self._in(meta, "homepage", start, "homepage", "it is no URL of a web page")

    def _in(
        self, given: Mapping[str, Attribute], name: str, start: int, rule: str, message: str
    ) -> Finding:
        """Return a finding at an attribute, or at its set when it is missing."""
        return self.file.at(given[name].start if name in given else start, rule, message)

    def _literal(self, given: Mapping[str, Attribute], name: str) -> str | None:
        return literal(given[name].value) if name in given else None


def _texts(attribute: Attribute) -> list[str]:
    return [token.text for token in attribute.value]
