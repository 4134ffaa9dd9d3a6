"""The agent daemon's entry point: `python -m hullmark.agentd run | enroll | renew | eject | check | policy-test`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Optional

from hullmark import log
from hullmark.agentd import preconditions
from hullmark.agentd.daemon import TAG, Agent, heed_signals
from hullmark.config import AGENT_FILE, AgentConfig, load_agent
from hullmark.errors import EXIT_OK, HullmarkError, UsageError, as_document
from hullmark.host.notify import service_manager

EXAMPLES = """examples:
  hullmark agent run
  hullmark agent run --config /etc/hullmark/agent.yaml
  hullmark agent enroll --token-file /root/token
  hullmark agent enroll --token-file -            the token comes on standard input
  hullmark agent enroll --force --token-file /root/token
  hullmark agent enroll --no-start --token-file /root/token
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
    commands = made.add_subparsers(
        dest="command", metavar="run|enroll|renew|eject|check|policy-test"
    )
    run = commands.add_parser("run", help="run the agent until SIGTERM; containers run on after it")
    enroll = commands.add_parser("enroll", help="join this host to a cluster, with an invite token")
    renew = commands.add_parser("renew", help="have a new key and certificate now")
    eject = commands.add_parser("eject", help="leave the cluster; the same as: hullmark eject")
    check = commands.add_parser("check", help="say what would keep run from starting, and end")
    policy = commands.add_parser("policy-test", help="the same as: hullmark policy test")
    for each in (run, enroll, renew, eject, check, policy):
        each.add_argument(
            "--config", default=AGENT_FILE, metavar="FILE", help=f"default: {AGENT_FILE}"
        )
    enroll.add_argument(
        "--token-file",
        required=True,
        metavar="FILE",
        help="readable by its owner only; - for stdin",
    )
    policy.add_argument("--policy-dir", default="", metavar="DIR", help="another policy")
    for each in (enroll, renew, eject, policy):
        each.add_argument("--output", choices=("text", "json"), default="text")
    eject.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    for name in ("--force", "--dry-run", "--accept-duplicates"):
        eject.add_argument(name, action="store_true", help="see hullmark eject --help")
    enroll.add_argument("--force", action="store_true", help="also where the host is enrolled")
    enroll.add_argument(
        "--no-start", action="store_true", help="leave the installed service as it is"
    )
    # Of the configuration in force, for the daemon's own renewals.
    renew.add_argument("--state-dir", help=argparse.SUPPRESS)
    renew.add_argument("--master", action="append", default=[], help=argparse.SUPPRESS)
    renew.add_argument("--proxy-folder", help=argparse.SUPPRESS)
    return made


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The exit code; errors are told on standard error."""
    options: Optional[argparse.Namespace] = None
    try:
        options = parser().parse_args(arguments)
        if options.command is None:
            raise UsageError("run, enroll or renew?", remedy="see hullmark agent --help")
        if options.command == "run":
            _run(options.config)
            return EXIT_OK
        if options.command == "check":
            preconditions.check(options.config)
            return EXIT_OK
        return _answer(options)
    except HullmarkError as error:
        _tell(error, as_json=getattr(options, "output", "text") == "json")
        return error.exit_code


def _tell(error: HullmarkError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(as_document(error), indent=2), file=sys.stderr)
        return
    print(f"hullmark agent: {error.message}", file=sys.stderr)
    if error.remedy:
        print(f"  what to do: {error.remedy}", file=sys.stderr)


def _answer(options: argparse.Namespace) -> int:
    """Of the commands that end by themselves."""
    # Not for the daemon: what it loads would stay in its memory.
    from hullmark.agentd import joining  # noqa: PLC0415 - the line above says why

    as_json = options.output == "json"
    if options.command == "renew" and options.state_dir is not None:
        folder, masters = Path(options.state_dir), tuple(options.master)
        if options.proxy_folder is not None:
            print(joining.run_renew_proxy(folder, Path(options.proxy_folder), masters))
        else:
            print(joining.run_renew(folder, masters, as_json=as_json))
        return EXIT_OK
    config = load_agent(options.config, owned=True).config
    log.setup(config.log_level, config.log_form)
    if options.command == "eject":
        return _eject(config, options)
    if options.command == "policy-test":
        return _test_policy(config, options)
    if options.command == "renew":
        print(joining.run_renew(Path(config.state_dir), config.masters, as_json=as_json))
        return EXIT_OK
    joined = joining.run_enroll(
        config, options.token_file, force=options.force, starting=not options.no_start
    )
    document = joining.as_document(joined)
    print(json.dumps(document, indent=2) if as_json else joining.as_text(joined))
    if joined.trouble is not None:
        raise joined.trouble
    return EXIT_OK


def _eject(config: AgentConfig, options: argparse.Namespace) -> int:
    from hullmark.agentd.ejection import Choice  # noqa: PLC0415 - as above
    from hullmark.agentd.ejectionanswer import run_eject  # noqa: PLC0415

    out = Path(options.out).absolute()
    choice = Choice(out, options.force, options.dry_run, options.accept_duplicates)
    told, code = run_eject(config, choice, as_json=options.output == "json")
    print(told)
    return code


def _test_policy(config: AgentConfig, options: argparse.Namespace) -> int:
    from hullmark.agentd import policyverb  # noqa: PLC0415 - as above

    tried = policyverb.with_folder(config, options.policy_dir)
    told, code = policyverb.run_test(tried, sys.stdin.read(), as_json=options.output == "json")
    print(told)
    return code


def _run(config_file: str) -> None:
    manager = service_manager()
    config = preconditions.check(config_file)
    log.setup(config.log_level, config.log_form, config.log_to, TAG)
    agent = Agent(config, config_file, manager)
    heed_signals(agent)
    agent.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that wait for an engine or a leader would hold up an ordinary end. None has anything to lose:
    # every call may be repeated, and every file is replaced whole.
    os._exit(code)
