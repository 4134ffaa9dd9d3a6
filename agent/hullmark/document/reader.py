"""From bytes to values, by the parser's events: no recursion, and every limit is checked on the way.

Plain scalars are read as YAML 1.2's core schema does (yaml.org/spec/1.2.2, section 10.3.2), so that `on`, `yes` and
`22:22` stay text. One thing is kept from YAML 1.1, because Compose files rely on it for modes: `0440` is octal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import yaml

from hullmark.document.files import MAX_BYTES, decode, name_of, read_bytes
from hullmark.document.values import ListValue, MapValue, Tagged
from hullmark.errors import InvalidInput, Problem

MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Values of a document, an alias counted as all that it stands for, a long text as several."""
TEXT_PER_VALUE = 64
"""So many characters of a text count as one value more."""

# libyaml's parser, which every distribution builds in: the one in Python takes a hundred times as long.
_LOADER: Any = yaml.CSafeLoader
_CORE = "tag:yaml.org,2002:"
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_OCTAL = re.compile(r"0o?[0-7]{1,18}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?")
_MERGE = "<<"
_TAB = re.compile(" *\t")
_OF_TABS = re.compile("a tab character|cannot start any token")


def read(path: Union[str, Path], *, tags: Collection[str] = ()) -> Any:
    """The value of a file; `-` is standard input. Raises InvalidInput naming file and line."""
    return parse(read_bytes(path), name_of(path), tags=tags)


def read_mapping(path: Union[str, Path]) -> MapValue:
    """The same of a file that has to hold a mapping."""
    found = read(path)
    if isinstance(found, MapValue):
        return found
    allowed = "KEY: VALUE lines"
    raise InvalidInput([Problem("not a mapping", file=name_of(path), line=1, allowed=allowed)])


def parse(content: bytes, name: str, *, tags: Collection[str] = ()) -> Any:
    """The value of one YAML document: MapValue, ListValue, str, int, float, bool or None.

    `tags` are local tags that come back as `Tagged`; any other is refused. An empty document is None.
    """
    if len(content) > MAX_BYTES:
        raise _wrong(name, None, f"larger than {MAX_BYTES >> 10} KiB")
    text = decode(content, name)
    builder = _Builder(name, frozenset(tags))
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "cannot be read"
        lines = text.splitlines() or [""]
        # What is missing at the end is missed after it.
        line = min(mark.line + 1, len(lines)) if mark else None
        # Elsewhere, as between braces, a tab may stand: then it is not what is wrong.
        if line is not None and _OF_TABS.search(message) and _TAB.match(lines[line - 1]):
            message = "a tab; YAML is indented by spaces"
        raise _wrong(name, line, f"not YAML: {message}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        message = f"not YAML: the character U+{error.character:04X} may not stand in it"
        raise _wrong(name, line, message) from error
    except yaml.YAMLError as error:
        raise _wrong(name, None, f"not YAML: {str(error).splitlines()[0]}") from error
    return builder.result


class _Size(NamedTuple):
    """`weight` counts values, `height` the levels of mappings and lists, aliases written out in both."""

    weight: int = 1
    height: int = 0


class _Open:
    """A mapping or list that is not at its end yet, with its size so far."""

    def __init__(self, value: Union[MapValue, ListValue], anchor: Optional[str], tag: str) -> None:
        self.value = value
        self.anchor = anchor
        self.tag = tag
        self.weight = 1
        self.height = 1
        self.key: Optional[str] = None
        self.key_line = 0
        self.merges: list[MapValue] = []


class _Builder:
    def __init__(self, name: str, tags: frozenset[str]) -> None:
        self.name = name
        self.tags = tags
        self.result: Any = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, _Size]] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _wrong(self.name, line, "a second document", "one document a file")
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._begin(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end(line)
        elif isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line)
            size = _Size(1 + len(event.value) // TEXT_PER_VALUE)
            self._remember(event.anchor, value, size)
            self._add(value, size, line, event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _wrong(
                    self.name, line, f"alias *{event.anchor} of an anchor that is not complete here"
                )
            value, size = self._anchors[event.anchor]
            if len(self._stack) + size.height > MAX_DEPTH:
                raise self._too_deep(line)
            self._add(value, size, line, event)

    def _begin(self, event: Any, line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise self._too_deep(line)
        mapping = isinstance(event, yaml.MappingStartEvent)
        value = MapValue(self.name, line) if mapping else ListValue(self.name, line)
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, MapValue) and top.key is None:
            raise _wrong(self.name, line, "a key that is a mapping or a list", "text as a key")
        tag = self._tag(event, line, "map" if mapping else "seq")
        self._stack.append(_Open(value, event.anchor, tag))

    def _end(self, line: int) -> None:
        done = self._stack.pop()
        if isinstance(done.value, MapValue):
            for source in done.merges:
                for key, value in source.items():
                    if key not in done.value:
                        done.value.put(key, value, source.lines[key], source.files[key])
        value = Tagged(done.tag, done.value) if done.tag else done.value
        size = _Size(done.weight, done.height)
        self._remember(done.anchor, value, size)
        self._add(value, size, done.value.line, None)

    def _too_deep(self, line: int) -> InvalidInput:
        return _wrong(self.name, line, f"nested deeper than {MAX_DEPTH} levels")

    def _remember(self, anchor: Optional[str], value: Any, size: _Size) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)

    def _add(self, value: Any, size: _Size, line: int, event: Any) -> None:
        if not self._stack:
            self.result = value
            return
        top = self._stack[-1]
        top.weight += size.weight
        top.height = max(top.height, size.height + 1)
        if top.weight > MAX_VALUES:
            raise _wrong(self.name, line, f"more than {MAX_VALUES} values, aliases counted in full")
        if isinstance(top.value, ListValue):
            top.value.put(value, line)
        elif top.key is None:
            top.key, top.key_line = self._key(top.value, value, line, event), line
        else:
            key, top.key = top.key, None
            if key == _MERGE:
                top.merges += self._merge_sources(value, line)
            else:
                top.value.put(key, value, top.key_line)

    def _key(self, mapping: MapValue, value: Any, line: int, event: Any) -> str:
        if isinstance(event, yaml.ScalarEvent):
            key = str(event.value)
        elif isinstance(value, str):
            key = value
        else:
            raise _wrong(self.name, line, "a key that is not text", "text as a key")
        if value is None:
            raise _wrong(self.name, line, "an empty key", "text as a key")
        if key in mapping:
            raise _wrong(
                self.name, line, f"key {_short(key)} stands here and in line {mapping.lines[key]}"
            )
        return key

    def _merge_sources(self, value: Any, line: int) -> list[MapValue]:
        sources = value if isinstance(value, ListValue) else [value]
        if not all(isinstance(source, MapValue) for source in sources):
            raise _wrong(self.name, line, "`<<` of something else", "a mapping or a list of them")
        return list(sources)

    def _tag(self, event: Any, line: int, kind: str) -> str:
        tag = event.tag
        if tag is None or tag in ("!", _CORE + kind):
            return ""
        if tag in self.tags:
            return str(tag)
        allowed = ", ".join(sorted(self.tags)) or "none"
        raise _wrong(self.name, line, f"tag {_short(str(tag))} is not known here", allowed)

    def _scalar(self, event: Any, line: int) -> Any:
        tag, text = event.tag, event.value
        if "\0" in text:
            raise _wrong(self.name, line, "text with a NUL character")
        if tag == _CORE + "str" or (tag in (None, "!") and not event.implicit[0]):
            return text
        if tag in (None, "!"):
            return plain_scalar(text)
        if tag in (_CORE + "int", _CORE + "float", _CORE + "bool", _CORE + "null"):
            return plain_scalar(text)
        return Tagged(
            self._tag(event, line, "str"), plain_scalar(text) if event.implicit[0] else text
        )


def plain_scalar(text: str) -> Any:
    """What an unquoted scalar means."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if len(text) > 1 and _OCTAL.fullmatch(text):
        return int(text.replace("o", ""), 8)
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _wrong(name: str, line: Optional[int], message: str, allowed: str = "") -> InvalidInput:
    return InvalidInput([Problem(message, file=name, line=line, allowed=allowed)])


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
