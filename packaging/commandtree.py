"""The command's own tree as plain data, for man pages and completion: what click knows, in words of ours, so that
its version makes no difference."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "agent"))

from hullmark.cli.main import COMMANDS, hullmark

FILE = "FILE"


@dataclass(frozen=True)
class Option:
    """`value` is empty for a flag, else what stands after it: `FILE`, `DURATION`, `text|json`."""

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    meaning: str
    repeatable: bool


@dataclass(frozen=True)
class Argument:
    """`shown` is how the synopsis has it, such as `[FILE]...`."""

    shown: str
    choices: tuple[str, ...]

    @property
    def is_file(self) -> bool:
        return FILE in self.shown


@dataclass(frozen=True)
class Command:
    """`path` has the words after `hullmark`. `text` and `notes` are paragraphs; one that keeps its lines has them
    separated by newlines."""

    path: tuple[str, ...]
    summary: str
    text: tuple[str, ...]
    notes: tuple[str, ...]
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    children: tuple[Command, ...]

    @property
    def name(self) -> str:
        return " ".join(("hullmark", *self.path))

    def walk(self) -> Iterator[Command]:
        yield self
        for child in self.children:
            yield from child.walk()


def read() -> Command:
    """The whole command."""
    return _command(hullmark, (), "run Compose apps on stock Linux hosts")


def _command(found: click.Command, path: tuple[str, ...], summary: str) -> Command:
    children: list[Command] = []
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            child = found.get_command(context, name)
            assert child is not None
            short = COMMANDS[name] if not path else child.get_short_help_str(200).rstrip(".")
            children.append(_command(child, (*path, name), short))
    return Command(
        path,
        summary,
        tuple(_paragraphs(found.help)),
        tuple(_paragraphs(found.epilog)),
        (*_options(found), HELP),
        tuple(_argument(each) for each in found.params if isinstance(each, click.Argument)),
        tuple(children),
    )


def _options(found: click.Command) -> Iterator[Option]:
    for each in found.params:
        if isinstance(each, click.Option) and not each.hidden:
            yield _option(each)


HELP = Option(("-h", "--help"), "", (), "Show the help and exit.", False)


def _paragraphs(text: Optional[str]) -> Iterator[str]:
    """click's: separated by an empty line; one that begins with a line of `\\b` keeps its lines."""
    for block in (text or "").strip("\n").split("\n\n"):
        lines = block.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            yield "\n".join(lines[1:])
        elif lines:
            yield " ".join(line.strip() for line in lines)


def _choices(parameter: click.Parameter) -> tuple[str, ...]:
    return tuple(parameter.type.choices) if isinstance(parameter.type, click.Choice) else ()


def _option(found: click.Option) -> Option:
    names = tuple(sorted((*found.opts, *found.secondary_opts), key=lambda name: name[:2] == "--"))
    choices = _choices(found)
    value = "" if found.is_flag else found.metavar or "|".join(choices) or "VALUE"
    help_text = found.help or ""
    words = [help_text + ("" if help_text.endswith((".", "]")) else "."), *_bounds(found)]
    if found.required:
        words.append("Required.")
    elif found.show_default and not found.is_flag:
        words.append(f"Default: {found.default}.")
    return Option(names, value, choices, " ".join(words), found.multiple)


def _bounds(found: click.Option) -> Iterator[str]:
    kind = found.type
    if isinstance(kind, click.IntRange):
        if kind.max is None:
            yield f"At least {kind.min}."
        else:
            yield f"From {kind.min} to {kind.max}."


def _argument(found: click.Argument) -> Argument:
    choices = _choices(found)
    if found.metavar:
        return Argument(found.metavar, choices)
    shown = "{" + "|".join(choices) + "}" if choices else str(found.name).upper()
    if not found.required:
        shown = f"[{shown}]"
    return Argument(shown + ("..." if found.nargs == -1 else ""), choices)
