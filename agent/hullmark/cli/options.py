"""Options that every command has, before or after its name, and what was asked with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import click

Decorated = Callable[..., Any]


@dataclass
class Asked:
    """What the options said; None: not given. Filled in while the command line is read."""

    master: Optional[str] = None
    token_file: Optional[str] = None
    ca: Optional[str] = None
    output: str = "text"
    waits: bool = False
    timeout: str = ""

    @property
    def json(self) -> bool:
        return self.output == "json"


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """The last place where an option stands wins: the group's are read before the command's."""
    if value is not None:
        setattr(context.ensure_object(Asked), str(parameter.name), value)
    return value


def _waits(context: click.Context, parameter: click.Parameter, value: Optional[bool]) -> bool:
    """Yes where it isn't said; who says it waits for a second person too."""
    context.ensure_object(Asked).waits = value is True
    return value is not False


def _option(*names: str, **more: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, expose_value=False, callback=_keep, **more)


_OUTPUT = _option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    help="text for people (the default), or one JSON document.",
)
_MASTER = _option(
    "--master",
    metavar="URL[,URL...]",
    help="unix:///PATH or https://HOST:PORT; of several the one that leads is asked.  [HULLMARK_MASTER]",
)
_TOKEN_FILE = _option(
    "--token-file", metavar="FILE", help="The login for https://.  [HULLMARK_TOKEN_FILE]"
)
_CA = _option("--ca", metavar="FILE", help="The cluster's root certificate.  [HULLMARK_CA]")
_PASS_ASKED = click.make_pass_decorator(Asked, ensure=True)


def offline(function: Decorated) -> Decorated:
    """The command asks no master. It is called with an `Asked` first."""
    return _PASS_ASKED(_OUTPUT(function))


def online(function: Decorated) -> Decorated:
    """The command asks a master. It is called with an `Asked` first."""
    return _MASTER(_TOKEN_FILE(_CA(offline(function))))


def issuing(function: Decorated) -> Decorated:
    """As `online`, for a command that makes a token: its `--token-file` is where that goes (`file`). The login
    for https:// is then named before the command, or by the environment."""
    file = click.option(
        "--token-file",
        "file",
        metavar="FILE",
        help="Write the token to this new file, mode 0600, and don't show it.",
    )
    return file(_MASTER(_CA(offline(function))))


def writing(function: Decorated) -> Decorated:
    """As `online`, for a command that writes a file: its `-o` is where to (`file`), and `--output` is only written out."""
    file = click.option(
        "-o", "file", required=True, metavar="FILE", help="Write to this new file, mode 0600."
    )
    output = _option(
        "--output",
        type=click.Choice(["text", "json"]),
        help="text for people (the default), or one JSON document.",
    )
    return file(_MASTER(_TOKEN_FILE(_CA(_PASS_ASKED(output(function))))))


def waiting(default: str) -> Callable[[Decorated], Decorated]:
    """`--wait/--no-wait` and `--timeout` of commands that change something."""

    def decorate(function: Decorated) -> Decorated:
        function = click.option(
            "--timeout",
            "timeout",
            metavar="DURATION",
            default=default,
            show_default=True,
            callback=_keep,
            help="How long to wait, such as 90s or 5m.",
        )(function)
        return click.option(
            "--wait/--no-wait",
            default=None,
            callback=_waits,
            help="Wait until it is done (the default), or only until it is accepted. Where change control asks for a second"
            " person, only --wait itself waits for that one.",
        )(function)

    return decorate


ticket = click.option(
    "--ticket", metavar="TEXT", default="", help="The shop's change number; kept with the change."
)
override_mark = click.option(
    "--override-mark",
    is_flag=True,
    help="Place the app's new work for 8 hours without the controls that the mark asks for. Administrators only; needs a ticket.",
)
hosts = click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
quiet = click.option("-q", "--quiet", is_flag=True, help="Print only what went wrong.")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--output json` stands anywhere: also where the line can't be read for another reason."""
    pairs = zip(arguments, arguments[1:])
    joined = {"--output=json", "-ojson"} & set(arguments)
    return bool(joined) or any(
        name in ("-o", "--output") and value == "json" for name, value in pairs
    )
