"""Man pages in roff's `man` macros, from commands and from configuration keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from commandtree import Command, Option

from hullmark.cli.words import span

ENVIRONMENT = re.compile(r"\s*\[(HULLMARK_[A-Z_]+)\]")
HEADINGS = (
    ("Example", "EXAMPLES"),
    ("Exit codes:", "EXIT STATUS"),
    ("", "NOTES"),
)
DAEMONS = ("agent", "master")


@dataclass(frozen=True)
class Stamp:
    date: str
    version: str


def plain(text: str) -> str:
    """Text that roff shows as it is; a dash that people may copy stays one."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def prose(text: str) -> str:
    """`code` in bold."""
    parts = plain(text).split("`")
    return "".join(f"\\fB{part}\\fR" if number % 2 else part for number, part in enumerate(parts))


def head(name: str, section: int, stamp: Stamp, summary: str) -> Iterator[str]:
    title = plain(name.upper() if section != 5 else name)
    yield '.\\" Made by packaging/man/generate.py'
    yield f'.TH {title} {section} {stamp.date} "Hullmark {stamp.version}" Hullmark'
    yield ".SH NAME"
    yield f"{plain(name)} \\- {plain(summary[:1].lower() + summary[1:])}"


def synopsis(command: Command) -> Iterator[str]:
    words = [f"\\fB{plain(command.name)}\\fR", "[\\fIOPTIONS\\fR]"]
    if command.children:
        words.append("\\fICOMMAND\\fR ...")
    words += [f"\\fI{plain(argument.shown)}\\fR" for argument in command.arguments]
    yield " ".join(words)


def options(found: Iterable[Option]) -> Iterator[str]:
    for option in found:
        value = f" \\fI{plain(option.value)}\\fR" if option.value else ""
        yield ".TP"
        yield ", ".join(f"\\fB{plain(name)}\\fR" for name in option.names) + value
        yield ENVIRONMENT.sub(r" Else: the environment's \\%\\fB\1\\fR.", prose(option.meaning))
        if option.repeatable:
            yield "May be given more than once."


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number:
            yield ".PP"
        yield prose(text)


def notes(command: Command, macro: str) -> Iterator[str]:
    """Examples, exit codes, and whatever else stands below the options in the help."""
    for note in command.notes:
        heading = next(title for start, title in HEADINGS if note.startswith(start))
        first, *rest = note.splitlines()
        if heading == "EXAMPLES":
            yield from (f"{macro} {heading}", ".nf")
            yield from (plain(line) for line in rest)
            yield ".fi"
        else:
            text = " ".join([first.partition("Exit codes:")[2] or first, *rest])
            yield from (f"{macro} {heading}", prose(" ".join(text.split())))


def see_also(*names: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    for name in names:
        stem, _, section = name.rpartition(".")
        comma = "," if name != names[-1] else ""
        yield f".BR {plain(stem)} ({section}){comma}"


def overview(tree: Command, stamp: Stamp) -> str:
    lines = [*head("hullmark", 1, stamp, tree.summary), ".SH SYNOPSIS", *synopsis(tree)]
    lines += [".SH DESCRIPTION", *paragraphs(tree.text), ".SH COMMANDS"]
    for command in tree.children:
        lines += [".TP", f".BR {plain('hullmark-' + command.path[0])} (1)", prose(command.summary)]
    lines += [".SH OPTIONS", *options(tree.options), *notes(tree, ".SH")]
    lines += see_also("hullmark-agent.8", "hullmark-master.8")
    return finished(lines)


def command(found: Command, stamp: Stamp) -> str:
    name = f"hullmark-{found.path[0]}"
    lines = [*head(name, 1, stamp, found.summary), ".SH SYNOPSIS"]
    leaves = found.children or (found,)
    for number, leaf in enumerate(leaves):
        lines += [".br"] if number else []
        lines += synopsis(leaf)
    lines += [".SH DESCRIPTION", *paragraphs(found.text)]
    if found.children:
        lines.append(".SH COMMANDS")
        for child in found.children:
            lines += [f".SS {plain(child.name)}", *paragraphs(child.text)]
            lines += [*options(child.options), *notes(child, ".PP\n.B")]
    else:
        lines += [".SH OPTIONS", *options(found.options), *notes(found, ".SH")]
    daemon = [f"{name}.8", f"{name}.yaml.5"] if found.path[0] in DAEMONS else []
    lines += see_also("hullmark.1", *daemon)
    return finished(lines)


def configuration(kind: str, keys: Iterable[Any], stamp: Stamp) -> str:
    file = f"/etc/hullmark/{kind}.yaml"
    lines = [
        *head(f"hullmark-{kind}.yaml", 5, stamp, f"configuration of the Hullmark {kind}"),
        ".SH SYNOPSIS",
        f".I {plain(file)}",
        ".br",
        f".I {plain(file.replace('.yaml', '.d/*.yaml'))}",
        ".SH DESCRIPTION",
    ]
    lines += paragraphs(INTRODUCTION.format(kind=kind).split("\n\n"))
    lines.append(".SH KEYS")
    for key in keys:
        lines += [".TP", f".B {plain(key.name)}", prose(sentence(key.meaning))]
        lines += [prose(f"Allowed: {allowed(key)}. Default: {default(key)}.")]
    lines += [".SH EXAMPLES", *EXAMPLES[kind]]
    lines += see_also(f"hullmark-{kind}.8", "hullmark-config.1", "hullmark.1")
    return finished(lines)


INTRODUCTION = """\
The file is YAML. Its drop-ins are read after it, in lexical order; a later value wins. Every key has a default, \
and the file may be missing or empty.

A key that is not known, or a value that is not allowed, keeps the {kind} from starting: the message names file and \
line. `hullmark config check {kind}` says the same beforehand, `hullmark config show {kind}` shows every value and \
where it is from.

A key with a dot is written as a mapping: `store.kind` is `kind` below `store`. Durations are numbers of seconds, or \
text such as `10s`, `5m`, `1h30m`."""

EXAMPLES = {
    "agent": (
        "Everything but addresses for apps' networks as by default:",
        ".PP\n.nf",
        "# /etc/hullmark/agent.d/networks.yaml",
        "engine:",
        "  subnets: 10.64.0.0/16",
        ".fi",
    ),
    "master": (
        "The members of two groups may use the cluster:",
        ".PP\n.nf",
        "# /etc/hullmark/master.d/roles.yaml",
        "roles:",
        "  deployer:",
        "    groups: [developers]",
        "  auditor:",
        "    groups: [auditors]",
        ".fi",
    ),
}


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def allowed(key: Any) -> str:
    """As the key's own reader says it when it refuses."""
    try:
        key.read(object())
    except ValueError as error:
        return str(error)
    return "anything"


def default(key: Any) -> str:
    if key.default in ("", ()):
        return "empty"
    if isinstance(key.default, float):
        return span(key.default)
    return str(key.default)


def finished(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
