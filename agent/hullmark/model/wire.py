"""The one way between frozen dataclasses and JSON values.

A dataclass becomes an object with one key per field; fields that hold their default are left out, so
that a new field with a default changes neither stored values nor digests of values that don't use it.
Supported field types: str, int, float, bool, enums with string values, Optional[X], tuple[X, ...],
Mapping[str, X], dataclasses of these, and object (any JSON value as it is). Annotations are resolved at run
time, so they are written in the form that Python 3.9 can evaluate.

    >>> to_wire(Epoch(1, 4))
    {'incarnation': 1, 'term': 4}
    >>> from_wire(Epoch, {"incarnation": 1, "term": 4})
    Epoch(incarnation=1, term=4)
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import hashlib
import json
import typing
from collections.abc import Mapping
from typing import Any, Callable, TypeVar, Union

from hullmark.errors import InvalidInput, Problem

T = TypeVar("T")

STALE = "Hullmark-Stale"
"""Header of an answer by a master that does not lead: how old, in seconds, what it tells is."""
Encoder = Callable[[Any], Any]
Decoder = Callable[[Any, str, "_Reading"], Any]

MISSING = dataclasses.MISSING


class _Reading:
    """What one call of `from_wire` carries through: the rule for unknown keys, the problems found."""

    def __init__(self, ignore_unknown: bool) -> None:
        self.ignore_unknown = ignore_unknown
        self.problems: list[Problem] = []

    def wrong(self, field: str, message: str, allowed: str = "") -> None:
        self.problems.append(Problem(message, field=field, allowed=allowed))


def to_wire(value: Any) -> Any:
    """The JSON value of a dataclass (or of a container of dataclasses)."""
    kind: Any = type(value)
    return _encoder(kind)(value)


def full(value: Any) -> Any:
    """As `to_wire`, with every field written out: for readers that look for a key, not for the wire."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: full(getattr(value, name)) for name, _, _ in fields_of(type(value))}
    if isinstance(value, (tuple, list)):
        return [full(item) for item in value]
    if isinstance(value, Mapping):
        return {key: full(item) for key, item in value.items()}
    return to_wire(value)


def from_wire(cls: type[T], data: Any, *, ignore_unknown: bool = False) -> T:
    """Read a dataclass back. Raises InvalidInput that names every wrong field.

    Unknown keys are refused in what people send, and ignored between daemons, which may be one minor
    version apart (`ignore_unknown=True`).
    """
    reading = _Reading(ignore_unknown)
    kind: Any = cls
    value = _decoder(kind)(data, "", reading)
    if reading.problems:
        raise InvalidInput(reading.problems)
    return typing.cast(T, value)


def canonical(data: Any) -> bytes:
    """JSON with sorted keys and no white space: the same bytes for equal values."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical wire form, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(to_wire(value))).hexdigest()


def fields_of(cls: type) -> tuple[tuple[str, Any, Any], ...]:
    """(name, type, default or MISSING) of each field, annotations resolved."""
    kind: Any = cls
    return _fields(kind)


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, Any, Any], ...]:
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        found.append((field.name, hints[field.name], default))
    return tuple(found)


@functools.cache
def _encoder(cls: type) -> Encoder:
    if dataclasses.is_dataclass(cls):
        names = [(name, default) for name, _, default in fields_of(cls)]

        def encode(value: Any) -> Any:
            out = {}
            for name, default in names:
                item = getattr(value, name)
                if default is MISSING or item != default:
                    out[name] = to_wire(item)
            return out

        return encode
    if issubclass(cls, enum.Enum):
        return lambda value: value.value
    if issubclass(cls, (tuple, list)):
        return lambda value: [to_wire(item) for item in value]
    if issubclass(cls, collections.abc.Mapping):
        return lambda value: {key: to_wire(item) for key, item in value.items()}
    if cls in (str, int, float, bool, type(None)):
        return lambda value: value
    raise TypeError(f"{cls!r} has no wire form")


@functools.cache
def _decoder(kind: Any) -> Decoder:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union and len(args) == 2 and type(None) in args:
        inner = _decoder(args[0] if args[1] is type(None) else args[1])
        return lambda data, at, reading: None if data is None else inner(data, at, reading)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _sequence_decoder(_decoder(args[0]))
    if origin is collections.abc.Mapping:
        return _mapping_decoder(_decoder(args[1]))
    if dataclasses.is_dataclass(kind):
        return _dataclass_decoder(typing.cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum_decoder(kind)
    if kind is object:
        return lambda data, at, reading: data
    if kind in (str, int, float, bool):
        return _scalar_decoder(kind)
    raise TypeError(f"{kind!r} has no wire form")


def _scalar_decoder(kind: type) -> Decoder:
    names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}

    def decode(data: Any, at: str, reading: _Reading) -> Any:
        if type(data) is kind:
            if isinstance(data, float) and not -1e300 < data < 1e300:
                reading.wrong(at, "the number is out of range")
            if isinstance(data, str):
                _check_text(data, at, reading)
            return data
        if kind is float and type(data) is int and abs(data) < 1 << 63:
            return float(data)
        reading.wrong(at, f"expected {names[kind]}, got {describe(data)}")
        return None

    return decode


def _check_text(text: str, at: str, reading: _Reading) -> None:
    r"""JSON can spell half a character (`"\ud800"`), which no file, store or digest can hold."""
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        reading.wrong(at, "half of a surrogate pair, which is no text")


def _enum_decoder(kind: type[enum.Enum]) -> Decoder:
    known = {member.value: member for member in kind}
    allowed = ", ".join(str(value) for value in known)

    def decode(data: Any, at: str, reading: _Reading) -> Any:
        if isinstance(data, str) and data in known:
            return known[data]
        reading.wrong(at, f"unknown value {describe(data)}", allowed)
        return None

    return decode


def _sequence_decoder(inner: Decoder) -> Decoder:
    def decode(data: Any, at: str, reading: _Reading) -> Any:
        if not isinstance(data, list):
            reading.wrong(at, f"expected a list, got {describe(data)}")
            return ()
        return tuple(inner(item, f"{at}[{index}]", reading) for index, item in enumerate(data))

    return decode


def _mapping_decoder(inner: Decoder) -> Decoder:
    def decode(data: Any, at: str, reading: _Reading) -> Any:
        if not isinstance(data, Mapping):
            reading.wrong(at, f"expected an object, got {describe(data)}")
            return {}
        for key in data:
            _check_text(str(key), at, reading)
        return {key: inner(item, _join(at, str(key)), reading) for key, item in data.items()}

    return decode


def _dataclass_decoder(cls: type) -> Decoder:
    # The members are looked up when first used, so that a type may hold itself.
    @functools.cache
    def members() -> tuple[tuple[str, Decoder, Any], ...]:
        return tuple((name, _decoder(kind), default) for name, kind, default in fields_of(cls))

    def decode(data: Any, at: str, reading: _Reading) -> Any:
        if not isinstance(data, Mapping):
            reading.wrong(at, f"expected an object, got {describe(data)}")
            return None
        before = len(reading.problems)
        values = {}
        for name, inner, default in members():
            if name in data:
                values[name] = inner(data[name], _join(at, name), reading)
            elif default is MISSING:
                reading.wrong(_join(at, name), "is missing")
        if not reading.ignore_unknown:
            known = {name for name, _, _ in members()}
            for key in data:
                if key not in known:
                    reading.wrong(_join(at, str(key)), "unknown key", ", ".join(sorted(known)))
        return None if len(reading.problems) > before else cls(**values)

    return decode


def describe(data: Any) -> str:
    """A value as it is named in an error: its kind, and a short form of it."""
    if data is None:
        return "nothing"
    if isinstance(data, Mapping):
        return "an object"
    if isinstance(data, list):
        return "a list"
    text = json.dumps(data) if isinstance(data, (str, bool, int, float)) else repr(data)
    return text if len(text) <= 60 else text[:57] + "..."


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
