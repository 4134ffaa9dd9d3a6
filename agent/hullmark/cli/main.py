"""The `hullmark` command. A command's module is imported when it is asked for, so that each starts fast."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Optional

import click

from hullmark import __version__
from hullmark.cli import failure
from hullmark.cli.heldanswer import HeldError
from hullmark.cli.options import online, wants_json
from hullmark.errors import EXIT_OK, EXIT_USAGE, HullmarkError, UsageError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE = 141  # 128 + SIGPIPE

# In the order of `hullmark --help`. A module `commands/NAME.py` has one click command called `command`.
COMMANDS: Mapping[str, str] = {
    "validate": "Check Compose files, offline",
    "plan": "Show what applying would change",
    "apply": "Run a Compose app, or change it",
    "scale": "Change numbers of replicas",
    "move": "Move a service to another host",
    "rollout": "See, pause, resume, undo a change; list former ones",
    "rm": "Remove an app",
    "apps": "List apps",
    "ps": "List instances",
    "explain": "Why instances are not as they should be",
    "why": "Why a service can't be reached, link by link",
    "logs": "Show the output of instances",
    "exec": "Run a command in a container",
    "hosts": "List hosts",
    "host": "Cordon, drain, label, show or remove a host",
    "controls": "What is proven of this host's security tools",
    "maintenance": "Planned work on hosts: start, end, list",
    "services": "List services: addresses, who serves, what was carried",
    "ports": "List ports of hosts: declared, open, allowed",
    "flows": "List declared flows: who may call which service, and why",
    "status": "How the cluster stands, and what to do next",
    "events": "What happened",
    "audit": "The record of all that was done: show, trace, verify",
    "evidence": "Packs for assessors: make, verify, trace",
    "orphans": "List containers that no order names",
    "invite": "Make a token with which a host joins",
    "login": "Make a token for use from another machine",
    "token": "Logins of machines: make, list, revoke",
    "changes": "Changes that wait for a second person",
    "approve": "Approve another person's change",
    "change-control": "Tickets, approvals, freeze windows: the rules",
    "outages": "Controls that were out: list, show, acknowledge, note",
    "mark": "Which controls a host has to prove for new work",
    "break-glass": "Go round change control in an emergency",
    "config": "Check and show the daemons' configuration",
    "policy": "This host's own rules, and what they say of an app",
    "agent": "Enroll this host, run its agent",
    "eject": "Leave the cluster; containers stay",
    "master": "Make a cluster, run its master, hand over",
    "drill": "Try a failover, measure it, and report",
    "snapshot": "Save, check, restore what the store holds",
    "footprint": "What Hullmark has on this host, and what changed it",
    "version": "Show the version",
}

EPILOG = """\b
Examples:
  hullmark apply compose.yaml
  hullmark status
  hullmark logs -f shop/web

\b
Exit codes: 0 ok, 1 degraded or a difference found, 2 failed,
3 no answer, 64 wrong usage, 130 interrupted.
"""


class Commands(click.Group):
    """The group of all commands. Its `main` ends the process with our exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"hullmark.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[Optional[str], Optional[click.Command], list[str]]:
        near = _near(args[0])
        if near:
            raise click.UsageError(f"No such command {args[0]!r}; did you mean {near}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above: no command has to be imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    # The override: click's own has overloads for `standalone_mode`, which is always off here.
    def main(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, prog_name: Optional[str] = None, **extra: Any
    ) -> NoReturn:
        arguments = list(sys.argv[1:] if args is None else args)
        code = self._answered(arguments, {**extra, "standalone_mode": False})
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            code = _nobody_reads()
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _nobody_reads()

    def _answered(self, arguments: list[str], extra: Mapping[str, Any]) -> int:
        """Runs the command; the exit code. Errors are told on standard error."""
        as_json = wants_json(arguments)
        try:
            code = super().main(arguments, "hullmark", **extra)
        except HullmarkError as error:
            failure.tell(error, as_json=as_json)
            return error.exit_code
        except HeldError as held:
            return _held(held, as_json=as_json)
        except click.Abort:
            failure.tell_interrupted(as_json=as_json)
            return INTERRUPTED
        except click.ClickException as error:
            failure.tell(_usage(error), as_json=as_json)
            return EXIT_USAGE
        return code if isinstance(code, int) else EXIT_OK


def _near(name: str) -> str:
    """The command that somebody meant who typed another; empty for one that there is, and where none comes near."""
    if name in COMMANDS or name.startswith("-"):
        return ""
    import difflib  # for this only

    return next(iter(difflib.get_close_matches(name, COMMANDS, 1)), "")


def _held(held: HeldError, *, as_json: bool) -> int:
    """The end of a command whose change waits for a second person."""
    from hullmark.cli.held import read, tell  # for this only

    return tell(read(held.body), as_json=as_json)


def _nobody_reads() -> int:
    """Who read our output went away: nothing more can be said, at exit neither. The exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "hullmark"
    return UsageError(error.format_message(), remedy=f"{path} --help")


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=EPILOG,
)
@click.version_option(__version__, "-V", "--version", message="hullmark %(version)s")
@online
@click.pass_context
def hullmark(context: click.Context, asked: object) -> None:
    """Run Compose apps on stock Linux hosts, and see how they stand."""
    if context.invoked_subcommand is None:
        raise click.UsageError("no command is named", context)


def main() -> NoReturn:
    _speak_any_locale()
    hullmark.main()


def _speak_any_locale() -> None:
    """A terminal that can't show a character gets `?` for it, not a traceback from us."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    main()
