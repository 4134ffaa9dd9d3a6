"""The agent daemon's entry point: `python -m hullmark.agentd run | enroll | renew`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, Optional

from hullmark import log
from hullmark.agentd.daemon import Agent, end_on_signals
from hullmark.config import AGENT_FILE, load_agent
from hullmark.errors import EXIT_OK, HullmarkError, UsageError

EXAMPLES = """examples:
  hullmark agent run
  hullmark agent run --config /etc/hullmark/agent.yaml
  hullmark agent enroll --token-file /root/token
  hullmark agent enroll --token-file -            the token comes on standard input
  hullmark agent enroll --force --token-file /root/token
  hullmark agent renew

exit codes: 0 done, 2 failed, 3 no answer, 64 wrong usage
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy=f"see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="hullmark agent",
        description="The Hullmark agent: keeps this host's containers as its cluster asks for them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", metavar="run|enroll|renew")
    run = commands.add_parser("run", help="run the agent until SIGTERM; containers run on after it")
    enroll = commands.add_parser("enroll", help="join this host to a cluster, with an invite token")
    renew = commands.add_parser("renew", help="have a new key and certificate now")
    for each in (run, enroll, renew):
        each.add_argument(
            "--config", default=AGENT_FILE, metavar="FILE", help=f"default: {AGENT_FILE}"
        )
    enroll.add_argument(
        "--token-file",
        required=True,
        metavar="FILE",
        help="readable by its owner only; - for stdin",
    )
    renew.add_argument("--output", choices=("text", "json"), default="text")
    enroll.add_argument("--force", action="store_true", help="also where the host is enrolled")
    return made


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code; errors are told on standard error."""
    try:
        options = parser().parse_args(arguments)
        if options.command is None:
            raise UsageError("run, enroll or renew?", remedy="see hullmark agent --help")
        config = load_agent(options.config).config
        log.setup(config.log_level, config.log_form)
        if options.command == "run":
            agent = Agent(config, options.config)
            end_on_signals(agent)
            agent.run()
            return EXIT_OK
        # Not for the daemon: what it loads would stay in its memory.
        from hullmark.agentd import joining  # noqa: PLC0415 - the line above says why

        if options.command == "enroll":
            print(joining.run_enroll(config, options.token_file, force=options.force))
        else:
            print(joining.run_renew(config, as_json=options.output == "json"))
    except HullmarkError as error:
        print(f"hullmark agent: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"  what to do: {error.remedy}", file=sys.stderr)
        return error.exit_code
    return EXIT_OK


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that wait for an engine or a leader would hold up an ordinary end. None has anything to lose:
    # every call may be repeated, and every file is replaced whole.
    os._exit(code)
