"""For zsh: one function for each command, which `_arguments` reads."""

from __future__ import annotations

from collections.abc import Iterator

from commandtree import FILE, Argument, Command, Option

HEAD = """\
#compdef hullmark
# Completion of hullmark for zsh. Made by packaging/completion/generate.py

"""

TAIL = """\
_hullmark "$@"
"""


def written(tree: Command) -> str:
    functions = ["\n".join(_function(each)) for each in tree.walk()]
    return HEAD + "\n\n".join(functions) + "\n\n" + TAIL


def _name(command: Command) -> str:
    return "_".join(("_hullmark", *command.path))


def _function(command: Command) -> Iterator[str]:
    yield f"{_name(command)}() {{"
    specs = [_option(option) for option in command.options]
    if not command.children:
        specs += [_argument(each) for each in command.arguments]
        yield "    _arguments -s -S \\"
        yield " \\\n".join(f"        {spec}" for spec in specs)
    else:
        yield "    local curcontext=$curcontext state"
        yield "    local -a line commands"
        yield "    commands=("
        for child in command.children:
            yield f"        {_quoted(child.path[-1] + ':' + child.summary)}"
        yield "    )"
        yield "    _arguments -C -s -S \\"
        yield "".join(f"        {spec} \\\n" for spec in specs) + "        '1: :->command' \\"
        yield "        '*:: :->rest'"
        yield "    case $state in"
        yield "    command) _describe command commands ;;"
        yield "    rest)"
        yield "        case $words[1] in"
        for child in command.children:
            yield f"        {child.path[-1]}) {_name(child)} ;;"
        yield "        esac"
        yield "        ;;"
        yield "    esac"
    yield "}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _option(option: Option) -> str:
    """One spec; several names in braces, each excluding the others unless it may be repeated."""
    meaning = option.meaning.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    value = f":{_colons(option.value)}:{_action(option.value, option.choices)}"
    tail = _quoted(f"[{meaning.replace(':', chr(92) + ':')}]" + (value if option.value else ""))
    joined = [name + _joint(name) if option.value else name for name in option.names]
    names = "{" + ",".join(joined) + "}" if len(joined) > 1 else joined[0]
    before = "\\*" if option.repeatable else f"'({' '.join(option.names)})'"
    return before + names + tail


def _joint(name: str) -> str:
    """How the value may stand: `--name=VALUE` or `--name VALUE`; `-nVALUE` or `-n VALUE`."""
    return "=" if name.startswith("--") else "+"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _action(shown: str, choices: tuple[str, ...]) -> str:
    if choices:
        return f"({' '.join(choices)})"
    return "_files" if FILE in shown else " "


def _argument(argument: Argument) -> str:
    shown = argument.shown.strip("[]{}.")
    start = "*:" if argument.shown.endswith("...") else ":"
    return _quoted(f"{start}{_colons(shown)}:{_action(argument.shown, argument.choices)}")
