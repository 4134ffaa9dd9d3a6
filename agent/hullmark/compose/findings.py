"""Values with their place in the files, and what is found wrong with them on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, Optional, TypeVar, Union

from hullmark.document import ListValue, MapValue, problem_at
from hullmark.errors import InvalidInput, Problem
from hullmark.model.wire import describe

T = TypeVar("T")

OWN = "x-hullmark"
"""Hullmark's own key of a mapping."""
MAX_PROBLEMS = 100
"""More than a person reads at once: reading ends there."""


@dataclass
class Findings:
    """All problems and warnings of one app, in the order found; and how many ports its ranges come to. `notes` are
    those of the warnings that tell what happens, and ask for nothing."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ports: int = 0


@dataclass(frozen=True)
class Node:
    """One value of the document. `field` is its dotted path; `holder` and `key` say where it stands.

    `private` values, such as a variable's, are never quoted in a message.
    """

    value: Any
    field: str
    holder: Union[MapValue, ListValue]
    key: Union[str, int, None]
    findings: Findings
    private: bool = False

    def wrong(self, message: str, allowed: str = "") -> None:
        """Note a problem. Raises InvalidInput with all of them once they are too many."""
        problems = self.findings.problems
        problems.append(problem_at(self.holder, self.key, self.field, message, allowed))
        if len(problems) >= MAX_PROBLEMS:
            raise InvalidInput([*problems, Problem("there may be more: reading ended here")])

    def missing(self, kind: str, name: str, known: Collection[str], way_out: str = "") -> None:
        """The value names something that the app doesn't have."""
        shown = nsmallest(20, known)
        more = ["..."] if len(known) > len(shown) else []
        allowed = ", ".join([*shown, *more, *filter(None, [way_out])])
        self.wrong(f"the app has no {kind} {name[:80]}", allowed)

    def warn(self, message: str) -> None:
        self.findings.warnings.append(str(problem_at(self.holder, self.key, self.field, message)))

    def note(self, message: str) -> None:
        """A warning that tells what happens, and asks for nothing."""
        self.warn(message)
        self.findings.notes.append(self.findings.warnings[-1])

    def unfit(self, allowed: str) -> None:
        """The value is not what it should be."""
        if self.value is None:
            self.wrong("has no value", allowed)
            return
        shown = "this value" if self.private else describe(self.value)
        self.wrong(f"{shown} does not fit here", allowed)

    def read(self, reader: Callable[[Any], T], default: T) -> T:
        """The value by a reader, which raises ValueError saying what is allowed; then `default`."""
        try:
            return reader(self.value)
        except ValueError as error:
            self.unfit(str(error))
            return default

    def has(self, name: str) -> bool:
        """Whether a mapping has the key, with a value."""
        return isinstance(self.value, MapValue) and self.value.get(name) is not None

    def get(self, name: str) -> Optional[Node]:
        """A key's value; None for a key that is absent, or that has no value, which means the same."""
        return self.child(name) if self.has(name) else None

    def child(self, name: str) -> Node:
        path = f"{self.field}.{name}" if self.field else name
        return Node(self.value[name], path, self.value, name, self.findings, self.private)

    def field_of(self, name: str, reader: Callable[[Any], T], default: T) -> T:
        """A key's value by a reader, `default` where the key is absent or its value is wrong."""
        found = self.get(name)
        return default if found is None else found.read(reader, default)

    def entries(self, allowed: str = "a mapping") -> Mapping[str, Node]:
        """The entries of a mapping, those without a value too; none of what is no mapping."""
        if isinstance(self.value, MapValue):
            return {name: self.child(name) for name in self.value}
        self.unfit(allowed)
        return {}

    def items(self, allowed: str = "a list") -> Sequence[Node]:
        """The items of a list; none of what is no list."""
        if not isinstance(self.value, ListValue):
            self.unfit(allowed)
            return ()
        return [self.item(index) for index in range(len(self.value))]

    def item(self, index: int) -> Node:
        path = f"{self.field}[{index}]"
        return Node(self.value[index], path, self.value, index, self.findings, self.private)

    def list_of(self, name: str, reader: Callable[[Any], T]) -> tuple[T, ...]:
        """A key's list, each item by a reader; wrong ones are left out, repeated ones stand once."""
        found = self.get(name)
        read: dict[T, None] = {}
        for item in found.items() if found is not None else ():
            try:
                read[reader(item.value)] = None
            except ValueError as error:
                item.unfit(str(error))
        return tuple(read)

    def text_or_list(self, name: str, reader: Callable[[Any], T]) -> tuple[T, ...]:
        """As `list_of`; a value by itself is a list of one."""
        found = self.get(name)
        if found is None or isinstance(found.value, ListValue):
            return self.list_of(name, reader)
        try:
            return (reader(found.value),)
        except ValueError as error:
            found.unfit(str(error))
            return ()


def root(document: MapValue, findings: Findings) -> Node:
    return Node(document, "", document, None, findings)


def located(top: Node, problem: Problem) -> Problem:
    """The problem with the place of the deepest value that its field names.

    The field is one of the model: what the files don't have, such as `container`, is passed over.
    """
    node, rest = top, problem.field
    while rest:
        step, rest = _step(node, rest)
        node = step or node
    return problem_at(
        node.holder, node.key, node.field or problem.field, problem.message, problem.allowed
    )


def _step(node: Node, field: str) -> tuple[Optional[Node], str]:
    """The value one step further, if there is one, and the field from there."""
    if field.startswith("["):
        index, _, rest = field[1:].partition("]")
        there = isinstance(node.value, ListValue) and int(index) < len(node.value)
        return (node.item(int(index)) if there else None), rest.lstrip(".")
    if isinstance(node.value, MapValue):
        for name in sorted(node.value, key=len, reverse=True):
            if field == name or field.startswith((f"{name}.", f"{name}[")):
                return node.child(name), field[len(name) :].lstrip(".")
        own = node.get(OWN)
        if own is not None and isinstance(own.value, MapValue):
            found, rest = _step(own, field)
            if found is not None:
                return found, rest
    end = min((at for at in (field.find("."), field.find("[")) if at > 0), default=len(field))
    return None, field[end:].lstrip(".")
