from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError, PkggenError, Place
from pkggen.recipe.model import LicenceTerm, Maintainer
from pkggen.recipe.overrides import (
    Overrides,
    PackageOverrides,
    read_overrides,
    web_url,
)
from pkggen.recipe.yaml_reader import MAX_BYTES

FULL: Final = """\
maintainer: {name: Jane Doe, email: jane@example.org, nixpkgs: janedoe}
packages:
  dns-primary-git:
    name: dns-primary
    version: "1.2"
    revision: 2
    description: Primary authoritative DNS server
    homepage: https://example.org/dns
    licence: isc AND mit
    licences: {emile: MIT, "x y": BSD-3-clause}
    maintainer:
      name: José O'Neill-Żak, Jr.
      email: j.o+x@mail.example.org
  other: {name: other2}
"""


GITHUB: Final = "maintainer: {name: A, email: a@b.cd, github: "


def read(text: str) -> Overrides:
    return read_overrides(text.encode(), "pkggen.yaml")


def faults_of(text: str) -> list[PkggenError]:
    with pytest.raises(PkggenError) as caught:
        read(text)
    found = caught.value
    assert found.exit_code == 3
    return list(found.faults) if isinstance(found, Faults) else [found]


def place_of(fault: PkggenError) -> tuple[int, int]:
    assert isinstance(fault.where, Place)
    assert fault.where.file == "pkggen.yaml"
    return fault.where.line, fault.where.column


def test_rendered_is_what_holds_for_one_job() -> None:
    everything = read(FULL)
    stated = everything.of("dns-primary-git")
    again = read(everything.rendered("dns-primary-git"))
    assert again.maintainer == stated.maintainer
    assert again.packages == (("dns-primary-git", replace(stated, maintainer=None)),)
    assert read(everything.rendered("other")) == Overrides(
        maintainer=everything.maintainer, packages=(("other", PackageOverrides(name="other2")),)
    )
    assert read(everything.rendered("none")) == Overrides(maintainer=everything.maintainer)
    assert read(Overrides().rendered("none")) == Overrides()


def test_keys_can_be_seen() -> None:
    (fault,) = faults_of('packages: {"a\\x85": {}}')
    assert fault.message == "'a\\x85' has characters that cannot be seen"
    assert place_of(fault) == (1, 12)


KEYS: Final = st.text(min_size=1).filter(str.isprintable)


@pytest.mark.slow
@given(
    KEYS,
    st.dictionaries(KEYS, st.just("MIT"), min_size=1),
    st.sampled_from(["no", "123", "0x1f", "1e3", "null"]),
)
def test_rendered_is_read_as_it_was(job: str, licences: dict[str, str], name: str) -> None:
    stated = PackageOverrides(
        name=name,
        version="1.20",
        description="Server: #1 of *all*",
        licences=tuple(licences.items()),
    )
    maintainer = Maintainer(
        name="Jane Doe", email="jane@example.org", nixpkgs="null", github="007", github_id=7
    )
    whole = Overrides(maintainer=maintainer, packages=((job, stated),))
    assert read(whole.rendered(job)) == whole


@pytest.mark.parametrize("number", ["1234567", '"1234567"'])
def test_an_account_on_github(number: str) -> None:
    found = read(f"{GITHUB}jane-doe, githubId: {number}}}").maintainer
    assert found is not None
    assert (found.github, found.github_id) == ("jane-doe", 1234567)


def test_everything_that_can_be_stated() -> None:
    found = read(FULL)
    assert found.maintainer == Maintainer(
        name="Jane Doe", email="jane@example.org", nixpkgs="janedoe"
    )
    package = found.of("dns-primary-git")
    assert package.licence is not None
    assert package.licence.expression == "ISC AND MIT"
    assert package.licence.terms == (LicenceTerm("ISC"), LicenceTerm("MIT"))
    assert package == PackageOverrides(
        name="dns-primary",
        version="1.2",
        revision=2,
        description="Primary authoritative DNS server",
        homepage="https://example.org/dns",
        licence=package.licence,
        licences=(("emile", "MIT"), ("x y", "BSD-3-Clause")),
        maintainer=Maintainer(
            name="José O'Neill-Żak, Jr.", email="j.o+x@mail.example.org", nixpkgs=None
        ),
    )
    assert found.of("other").name == "other2"
    assert found.of("unheard-of") == PackageOverrides()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "packages: {}", "\ufeff{}"])
def test_nothing_stated(text: str) -> None:
    assert read(text) == Overrides()


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("- a", 1, 1, "expected keys and values, found a list", None),
        ("text", 1, 1, "expected keys and values, found text", None),
        ("maintainers: {}", 1, 1, "unknown key 'maintainers'", "did you mean 'maintainer'?"),
        ("zzz: 1", 1, 1, "unknown key 'zzz'", "known keys: maintainer, packages"),
        ("packages:\n  a: {license: MIT}", 2, 7, "unknown key 'license'", "did you mean 'licence'"),
        ("<<: {a: 1}", 1, 1, "expected text, found a value of type merge", None),
        ("packages: {a: {}, a: {}}", 1, 19, "'a' is given twice", None),
        ("packages:\n  a:\n    name: x1\n    name: x2", 4, 5, "'name' is given twice", None),
        ("packages:", 1, 10, "expected keys and values, found nothing", None),
        ("packages: [a]", 1, 11, "found a list", None),
        ("packages: {a: x}", 1, 15, "found text", None),
        ("packages: {? [a] : {}}", 1, 14, "expected text, found a list", None),
        ("packages: {no: {}}", 1, 12, "expected text, found a value of type bool", "quotes"),
        ("packages: {a: {version: 1.2}}", 1, 25, "found a value of type float", "double quotes"),
        ("packages: {a: {revision: 0}}", 1, 26, "'0' is not a number from 1 to 9999", None),
        ("packages: {a: {version: dev}}", 1, 25, "'dev' is not the version of a release", None),
        ("packages: {a: {name: Dns}}", 1, 22, "'Dns' is not a package name", None),
        ("packages: {a: {name: x}}", 1, 22, "'x' is not a package name", None),
        ("packages: {a: {name: ../x}}", 1, 22, "is not a package name", None),
        ('packages: {a: {name: "a\\n"}}', 1, 22, "is not a package name", None),
        ("packages: {a: {description: A b}}", 1, 29, "starts with an article", None),
        ('packages: {a: {description: "B\\nc"}}', 1, 29, "one line", None),
        ("packages: {a: {homepage: dummy}}", 1, 26, "not an http or https URL", None),
        ("packages: {a: {licence: GPL}}", 1, 25, "'GPL' is not an SPDX expression", None),
        ("packages: {a: {licences: {b: BSD3}}}", 1, 30, "'BSD3' is not an SPDX", None),
        ("packages: {a: {licences: {b: }}}", 1, 29, "expected text, found nothing", None),
        ("packages: {a: {licences: MIT}}", 1, 26, "expected keys and values, found text", None),
        ("packages: {a: {licence: [MIT]}}", 1, 25, "expected text, found a list", None),
        ("packages: {a: {name: !x b}}", 1, 22, "expected text, found a value of type", None),
        ("maintainer: {name: A}", 1, 13, "a maintainer needs a name and an email", None),
        ("maintainer: {name: A <b>, email: a@b.cd}", 1, 20, "not a name", None),
        ("maintainer: {name: A, email: a@b}", 1, 30, "not an email address", None),
        ('maintainer: {name: A, email: "a@b.cd\\n"}', 1, 30, "not an email address", None),
        ("maintainer: {name: A, email: a@b.cd, nixpkgs: 1-a}", 1, 47, "lib.maintainers", None),
        ("maintainer: {name: A, email: a@b.cd, github: a}", 1, 13, "belong together", None),
        ("maintainer: {name: A, email: a@b.cd, githubId: 7}", 1, 13, "belong together", None),
        (f"{GITHUB}-a, githubId: 7}}", 1, 46, "'-a' is not the name of an account", None),
        (f"{GITHUB}a--b, githubId: 7}}", 1, 46, "'a--b' is not the name of an account", None),
        (f"{GITHUB}a, githubId: 0}}", 1, 59, "'0' is not the number of an account", None),
        (f"{GITHUB}a, githubId: 0x7}}", 1, 59, "'0x7' is not the number of an account", None),
        (f"{GITHUB}a, githubId: [7]}}", 1, 59, "found a list", None),
        ("a: [", 1, 5, "it is not YAML", None),
        ("a: 1\n---\nb: 2", 2, 1, "it is not YAML", None),
        ("a: *x", 1, 4, "it is not YAML", None),
        ("a: &x [*x]", 1, 1, "unknown key 'a'", None),
        ("a: b\n\tc: d", 2, 1, "it is not YAML", None),
    ],
)
def test_faults_have_a_place(
    text: str, line: int, column: int, message: str, hint: str | None
) -> None:
    (fault,) = faults_of(text)
    assert isinstance(fault, InputError)
    assert message in fault.message
    assert place_of(fault) == (line, column)
    assert (hint or "") in (fault.hint or "")


def test_all_faults_are_reported_together() -> None:
    found = faults_of(
        "maintainer: {nam: x}\npackages:\n  a: {version: 1, licences: {b: GPL}}\n  b: []\n"
    )
    assert sorted(map(place_of, found)) == [(1, 13), (1, 14), (3, 16), (3, 33), (4, 6)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: \xff", "not UTF-8 at byte 3"),
        (b"a: \x01", "control characters"),
        (b"#" * (MAX_BYTES + 1), "more than"),
        (b"[" * 5_000, "nested too deeply"),
    ],
)
def test_what_is_no_text_at_all(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_overrides(data, "pkggen.yaml")


def test_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 {name: x}"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    assert len(faults_of("\n".join(lines))) == 40


FIELDS = st.sampled_from(
    ["maintainer", "packages", "name", "version", "licence", "licences", "email", "a", "1", "~"]
)
VALUES = st.recursive(
    FIELDS | st.sampled_from(["MIT", "1.0", '"1.0"', "a@b.cd", "https://a.bc", "&x y", "*x", "!t"]),
    lambda inner: st.lists(st.tuples(FIELDS, inner), max_size=4).map(
        lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
    ),
    max_leaves=8,
)


@given(VALUES | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    with contextlib.suppress(InputError, Faults):
        assert isinstance(read_overrides(data, "pkggen.yaml"), Overrides)


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://a.b.example/c?d=e#f", "https://example.org:8080/x/~y"]
)
def test_web_urls(url: str) -> None:
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "dummy",
        "git://dummy",
        "https://dummy",
        "http://localhost/x",
        "https://127.0.0.1/",
        "https://",
        "ftp://example.org",
        "https://user:pw@example.org/",
        "https://example.org/a b",
        'https://example.org/"',
        "https://example.org/\n",
        "https://[::1",
        "https://example.org:x/",
        "https://exam\u0440le.org",
        "javascript:https://example.org",
        "https://example.org/${x}",
    ],
)
def test_no_web_urls(url: str) -> None:
    assert web_url(url) is None


@pytest.mark.parametrize(
    "text",
    [r'a: "\UFFFFFFFF"', r'a: "\U00110000"', f"%YAML {'1' * 5000}.1\n---\na: b"],
    ids=["overflow", "no character", "digits"],
)
def test_escapes_and_directives_that_yaml_cannot_take(text: str) -> None:
    with pytest.raises(InputError, match="it is not YAML"):
        read_overrides(text.encode(), "pkggen.yaml")


@pytest.mark.slow
def test_aliases_of_large_mappings_do_not_multiply() -> None:
    many = ", ".join(f"k{i}: MIT" for i in range(600))
    packages = "".join(f"  p{i}: {{licences: *x}}\n" for i in range(100))
    text = f"packages:\n  p: {{licences: &x {{{many}}}}}\n{packages}"
    with pytest.raises(InputError, match="more than 50000 keys, counted again at each alias"):
        read_overrides(text.encode(), "pkggen.yaml")
