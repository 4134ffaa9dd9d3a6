"""For fish 3: one line for each command, option and argument, with the words that must stand before it."""

from __future__ import annotations

from collections.abc import Iterator

from commandtree import FILE, Command, Option

HEAD = """\
# Completion of hullmark for fish. Made by packaging/completion/generate.py

# The options after these words that take a value.
function __hullmark_valued
    switch "$argv"
"""

MIDDLE = """\
    end
end

# The words after these words.
function __hullmark_children
    switch "$argv"
"""

TAIL = """\
    end
end

# Whether the command that is being typed is this one; in `__hullmark_place`, how many arguments it has already.
function __hullmark_at
    set -g __hullmark_place 0
    set -l path
    set -l pending
    for word in (commandline -opc)[2..-1]
        if test -n "$pending"
            set pending
        else if contains -- $word (__hullmark_valued $path)
            set pending $word
        else if contains -- $word (__hullmark_children $path)
            set -a path $word
        else if not string match -q -- '-*' $word
            set __hullmark_place (math $__hullmark_place + 1)
        end
    end
    test "$path" = "$argv"
end

complete -c hullmark -f
"""


def written(tree: Command) -> str:
    commands = list(tree.walk())
    parts = [HEAD, *(_case(each, _valued(each)) for each in commands)]
    parts += [MIDDLE, *(_case(each, _children(each)) for each in commands)]
    parts += [TAIL, *(line + "\n" for each in commands for line in _lines(each))]
    return "".join(parts)


def _valued(command: Command) -> list[str]:
    return [name for option in command.options if option.value for name in option.names]


def _children(command: Command) -> list[str]:
    return [child.path[-1] for child in command.children]


def _case(command: Command, words: list[str]) -> str:
    if not words:
        return ""
    path = " ".join(command.path)
    return f"        case '{path}'\n            printf '%s\\n' {' '.join(words)}\n"


def _lines(command: Command) -> Iterator[str]:
    here = " ".join(("__hullmark_at", *command.path))
    start = f"complete -c hullmark -n {_quoted(here)}"
    for child in command.children:
        yield f"{start} -a {child.path[-1]} -d {_quoted(child.summary)}"
    for option in command.options:
        yield f"{start} {_option(option)} -d {_quoted(option.meaning)}"
    for place, argument in enumerate(command.arguments):
        test = "" if argument.shown.endswith("...") else f"; and test $__hullmark_place = {place}"
        if argument.is_file:
            yield f"complete -c hullmark -n {_quoted(here + test)} -F"
        elif argument.choices:
            words = _quoted(" ".join(argument.choices))
            yield f"complete -c hullmark -n {_quoted(here + test)} -a {words}"


def _option(option: Option) -> str:
    words = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    ]
    if option.choices:
        words.append(f"-x -a {_quoted(' '.join(option.choices))}")
    elif option.value:
        words.append("-r -F" if option.value == FILE else "-x")
    return " ".join(words)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
