"""Environment files: lines of `NAME=value`, as Compose reads `.env` and `env_file`.

NAME=value # a comment       interpolated, white space around it removed
NAME="value"                 interpolated, with \\n \\r \\t \\" \\\\ \\$; may go over several lines
NAME='value'                 as it stands, \\' for a quote; may go over several lines
NAME                         the value that the variable has already, if it has one
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from hullmark import document
from hullmark.compose.interpolation import Filler, Malformed, TooLong
from hullmark.errors import InvalidInput, Problem

MAX_VALUE = 128 << 10
"""Linux takes no longer string in an environment (MAX_ARG_STRLEN, execve(2))."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_EXPORT = re.compile(r"export[ \t]+(?=[A-Za-z_])")
_EQUALS = re.compile("=")
_SEPARATOR = re.compile(r"[ \t]*[=:][ \t]*")
_BARE = re.compile(r"((?:(?<![ \t])#|[^#\n])*)")
_DOUBLE = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SINGLE = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL)
_REST = re.compile(r"[ \t]*(#[^\n]*)?(\n|$)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$", "'": "'"}


def read_env_file(
    path: Path,
    variables: Mapping[str, str],
    *,
    raw: bool = False,
    warnings: Optional[list[str]] = None,
) -> dict[str, str]:
    """The variables that a file sets; `$NAME` in it is taken from `variables`, then from earlier lines.

    `raw` takes every value as it stands. Variables that are not set are added to `warnings`. Raises
    InvalidInput naming file and line; FileNotFoundError where there is no such file, since Compose
    lets an `env_file` be optional.
    """
    try:
        content = document.read_bytes(path)
    except InvalidInput as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        raise
    text = document.decode(content, str(path)).replace("\r\n", "\n")
    reading = _Reading(str(path), text, variables)
    reading.run(raw)
    if reading.problems:
        raise InvalidInput(reading.problems)
    if warnings is not None:
        warnings += [str(warning) for warning in reading.warnings]
    return reading.found


class _Reading:
    """One pass over a file; `at` is the character that is read next, `line` its line."""

    def __init__(self, name: str, text: str, variables: Mapping[str, str]) -> None:
        self.name = name
        self.text = text
        self.variables = variables
        self.found: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.filler = Filler(self._lookup)
        self.at = 0
        self.line = 1

    def run(self, raw: bool) -> None:
        while self.at < len(self.text):
            line, first = self._whole_line(), self.line
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                self._advance(self.at + len(line) + 1)
                continue
            try:
                self._statement(line, raw)
            except Malformed as error:
                self.problems.append(
                    Problem(error.message, file=self.name, line=first, allowed=error.allowed)
                )
                if isinstance(error, TooLong):
                    return
                self._advance(self.at + len(self._whole_line()) + 1)

    def _whole_line(self) -> str:
        end = self.text.find("\n", self.at)
        return self.text[self.at :] if end < 0 else self.text[self.at : end]

    def _advance(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def _statement(self, line: str, raw: bool) -> None:
        end = self.at + len(line)
        start = end - len(line.lstrip())
        export = _EXPORT.match(self.text, start)
        name = _NAME.match(self.text, export.end() if export and not raw else start)
        if name is None:
            raise Malformed("no variable name", "NAME=value")
        separator = (_EQUALS if raw else _SEPARATOR).match(self.text, name.end(), end)
        if separator is None:
            if self._bare(name.end(), end):
                raise Malformed("a name that goes on without `=`", "NAME=value")
            if name.group() in self.variables:
                self.found[name.group()] = self.variables[name.group()]
        elif raw:
            self._set(name.group(), self.text[separator.end() : end])
        elif self.text[separator.end() : separator.end() + 1] in ('"', "'"):
            end = self._quoted(name.group(), separator.end())
        else:
            bare = self._bare(separator.end(), end)
            self._set(name.group(), self._filled(bare.replace("\\$", "$$")))
        self._advance(end + 1)

    def _bare(self, start: int, end: int) -> str:
        """Text without quotes, up to a comment."""
        found = _BARE.match(self.text, start, end)
        return found.group(1).strip() if found else ""

    def _quoted(self, name: str, start: int) -> int:
        """Set a value in quotes; where its last line ends."""
        double = self.text[start] == '"'
        quoted = (_DOUBLE if double else _SINGLE).match(self.text, start)
        if quoted is None:
            raise Malformed("a quote that is not closed")
        rest = _REST.match(self.text, quoted.end())
        if rest is None:
            raise Malformed("text behind the closing quote", "a comment that begins with #")
        inner = quoted.group(1)
        if double:
            self._set(name, self._filled(_ESCAPE.sub(_unescaped, inner)))
        else:
            self._set(name, inner.replace("\\'", "'"))
        return rest.end(1) if rest.group(1) else rest.start(2)

    def _set(self, name: str, value: str) -> None:
        if len(value.encode("utf-8", "surrogateescape")) > MAX_VALUE:
            raise Malformed(f"the value of {name} is too long", f"{MAX_VALUE >> 10} KiB")
        self.found[name] = value

    def _filled(self, text: str) -> str:
        value = self.filler.fill(text)
        self.warnings += [
            Problem(f"variable {name} is not set: left empty", file=self.name, line=self.line)
            for name in self.filler.unset
        ]
        return value

    def _lookup(self, name: str) -> Optional[str]:
        return self.variables.get(name, self.found.get(name))


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found.group(1), found.group())
