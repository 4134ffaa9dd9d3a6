"""The master daemon's entry point: `python -m hullmark.masterd init | run`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Optional

import hullmark
from hullmark import log
from hullmark.compose import check, shown
from hullmark.config import MASTER_FILE, Loaded, MasterConfig, load_master
from hullmark.errors import EXIT_OK, EXIT_USAGE, HullmarkError
from hullmark.masterd.daemon import serve
from hullmark.masterd.folder import Folder, listening
from hullmark.masterd.init import init, shop_authority

EXAMPLES = """examples:
  hullmark master init
  hullmark master init --address m1.example.net --address 192.0.2.10
  hullmark master init --ca-chain shop-ca.pem --ca-key shop-ca.key
  hullmark master run --config /etc/hullmark/master.yaml
"""


class _Parser(argparse.ArgumentParser):
    """Ends with our exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="hullmark master",
        description="The cluster's master: makes a cluster, and runs it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=hullmark.__version__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="init | run")
    init = verbs.add_parser(
        "init",
        help="make a new cluster on this machine",
        description="Make a new cluster: its store, its authority, this master's certificate. What is there is kept.",
    )
    init.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="A",
        help="a name or IP address by which agents and people reach this master; may be repeated",
    )
    init.add_argument(
        "--ca-chain",
        metavar="FILE",
        help="the shop's own intermediate certificate, and its root last",
    )
    init.add_argument("--ca-key", metavar="FILE", help="the intermediate's key")
    run = verbs.add_parser(
        "run",
        help="run the master in the foreground",
        description="Run the master in the foreground, until SIGTERM or SIGINT.",
    )
    for verb in (init, run):
        verb.add_argument(
            "--config", metavar="FILE", default=MASTER_FILE, help=f"default: {MASTER_FILE}"
        )
    return top


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parser().parse_args(arguments)
    try:
        loaded = load_master(options.config)
        if options.verb == "run":
            _run(listening(loaded, Folder(Path(loaded.config.state_dir))))
        else:
            _init(loaded, options)
    except HullmarkError as error:
        print(f"hullmark master {options.verb}: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"  what to do: {error.remedy}", file=sys.stderr)
        return error.exit_code
    return EXIT_OK


def _run(config: MasterConfig) -> None:
    log.setup(config.log_level, config.log_form)
    # The web server's own log repeats what we answer; what is wrong with us is logged by us.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    serve(config, check=check, shown=shown)


def _init(loaded: Loaded[MasterConfig], options: argparse.Namespace) -> None:
    config = loaded.config
    made = init(config, options.address, shop_authority(options.ca_chain, options.ca_key))
    print(f"{'made' if made.new else 'there already: nothing was changed'}")
    print(f"  cluster       {made.cluster_id}")
    print(f"  state folder  {config.state_dir}")
    print(f"  root (SHA256) {made.root_fingerprint}")
    print(f"  addresses     {', '.join(made.addresses) or 'none'}")
    ports = listening(loaded, Folder(Path(config.state_dir)))
    print(f"  listens on    {ports.agents_listen} (agents.listen), {ports.api_listen} (api.listen)")
    for address in made.ignored:
        print(
            f"note: {address} was not added. To add it, put it under `addresses` in {options.config} "
            "and restart the master: its certificate is then made anew at once"
        )
    if ports != config:
        print(
            "note: its addresses are loopback only, so only this machine reaches it; "
            f"for others set `addresses` in {options.config}, or the keys named above"
        )
    if made.new and made.root_key is not None:
        print(f"note: move {made.root_key} to a safe place; only another master's joining needs it")
    print(
        "next: start the master (hullmark master run, or its service), then: hullmark invite HOST"
    )


if __name__ == "__main__":
    sys.exit(main())
