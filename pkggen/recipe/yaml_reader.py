"""YAML that a person wrote, read node by node: every fault with its line and column."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from yaml import Node

    T = TypeVar("T")

MAX_BYTES: Final = 1024 * 1024
TEXT: Final = "tag:yaml.org,2002:str"
NUMBER: Final = "tag:yaml.org,2002:int"
_NULL: Final = "tag:yaml.org,2002:null"
_MAX_ENTRIES: Final = 50_000


def compose(data: bytes, file: str) -> tuple[str, Node | None]:
    """Return the text of a file and its root node, None when there is nothing in it.

    Args:
        data: The bytes of the file, UTF-8.
        file: Name of the file, for messages.

    Raises:
        InputError: the bytes are no YAML, with line and column where these are known.
    """
    import yaml  # noqa: PLC0415 - 25 ms, for few commands

    if len(data) > MAX_BYTES:
        raise InputError(f"it has more than {MAX_BYTES} bytes", where=file)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 at byte {error.start}", where=file) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = file if mark is None else Place.at(file, text, mark.index)
        raise InputError(f"it is not YAML: {error.problem}", where=where) from error
    except yaml.YAMLError as error:
        raise InputError("it is not YAML: it has control characters", where=file) from error
    except (ValueError, OverflowError) as error:  # of an escape or a directive
        raise InputError(f"it is not YAML: {error}", where=file) from error
    except RecursionError as error:
        raise InputError("it is nested too deeply", where=file) from error
    return text, None if root is None or root.tag == _NULL else root


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns the nodes of YAML, which know their places, into values, and collects faults."""

    file: str
    text: str
    faults: list[PkggenError] = field(default_factory=list)
    entries: list[object] = field(default_factory=list)
    """Keys of all mappings and elements of all lists so far."""

    def mapping(self, node: Node | None, known: Iterable[str] | None = None) -> dict[str, Node]:
        """Return keys and nodes of a mapping; every key once, and from `known` if that is given."""
        from yaml import MappingNode  # noqa: PLC0415 - loaded by `compose`

        if node is None:
            return {}
        if not isinstance(node, MappingNode):
            self.fault(node, f"expected keys and values, found {_kind(node)}")
            return {}
        self._count(node.value)
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, _key)
            if key is None:
                continue
            if key in found:
                self.fault(key_node, f"{key!r} is given twice")
            elif known is not None and key not in known:
                self.fault(key_node, f"unknown key {key!r}", _nearest(key, known))
            else:
                found[key] = value_node
        return found

    def elements(self, node: Node | None) -> list[Node]:
        """Return the nodes of a list; none when it is not given or faulty."""
        from yaml import SequenceNode  # noqa: PLC0415 - loaded by `compose`

        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self.fault(node, f"expected a list, found {_kind(node)}")
            return []
        self._count(node.value)
        return list(node.value)

    def value(
        self, node: Node | None, read: Callable[[str], T], tags: Sequence[str] = (TEXT,)
    ) -> T | None:
        """Return what `read` makes of a text; None when it is not given or faulty."""
        if node is None:
            return None
        from yaml import ScalarNode  # noqa: PLC0415 - loaded by `compose`

        if not isinstance(node, ScalarNode) or node.tag not in tags:
            quotable = isinstance(node, ScalarNode) and node.tag != _NULL
            hint = "put it in double quotes" if quotable else None
            self.fault(node, f"expected text, found {_kind(node)}", hint)
            return None
        try:
            return read(node.value)
        except InputError as error:
            self.fault(node, error.message, error.hint)
            return None

    def fault(self, node: Node, message: str, hint: str | None = None) -> None:
        """Note that something is wrong with a node."""
        where = Place.at(self.file, self.text, node.start_mark.index)
        self.faults.append(InputError(message, where=where, hint=hint))

    def _count(self, entries: list[object]) -> None:
        self.entries.extend(entries)
        if len(self.entries) > _MAX_ENTRIES:
            raise InputError(
                f"it has more than {_MAX_ENTRIES} keys, counted again at each alias",
                where=self.file,
            )


def _kind(node: Node) -> str:
    names = {"map": "keys and values", "seq": "a list", "null": "nothing", "str": "text"}
    tag = node.tag.rpartition(":")[2]
    return names.get(tag, f"a value of type {tag}")


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def _key(text: str) -> str:
    if not text.isprintable():
        raise InputError(f"{text!r} has characters that cannot be seen")
    return text
