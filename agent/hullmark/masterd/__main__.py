"""The master daemon's entry point: `python -m hullmark.masterd init | join | run | check`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Optional

import hullmark
from hullmark import log
from hullmark.compose import check, shown
from hullmark.config import MASTER_FILE, load_master
from hullmark.errors import EXIT_OK, EXIT_USAGE, HullmarkError, Refused, as_document
from hullmark.host.service import Service, start
from hullmark.launchers import start_command
from hullmark.masterd import joinverb, preconditions, snapshotverbs
from hullmark.masterd.daemon import serve
from hullmark.masterd.folder import Folder, listening
from hullmark.masterd.init import init, master_name, shop_authority
from hullmark.masterd.initanswer import Result
from hullmark.masterd.owner import acting_as, owner_of
from hullmark.masterd.reclaiming import reclaim
from hullmark.masterd.verbnotes import done, noted, whoever

TAG = "hullmark-master"
"""Whose lines these are, in syslog."""

EXAMPLES = """examples:
  hullmark master init
  hullmark master init --address m1.example.net --address 192.0.2.10
  hullmark master init --ca-chain shop-ca.pem --ca-key shop-ca.key
  hullmark master join --token-file m2.token --address 192.0.2.11
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
    verbs = top.add_subparsers(dest="verb", required=True, metavar="init | join | run | check")
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
    init.add_argument(
        "--reclaim",
        metavar="CLUSTER",
        help="begin a new incarnation of this cluster, which its hosts obey; nothing else is made",
    )
    init.add_argument(
        "--no-start", action="store_true", help="leave the installed service as it is"
    )
    init.add_argument("--output", choices=("text", "json"), default="text")
    run = verbs.add_parser(
        "run",
        help="run the master in the foreground",
        description="Run the master in the foreground, until SIGTERM or SIGINT.",
    )
    check = verbs.add_parser("check", help="say what would keep run from starting, and end")
    snapshotverbs.add(verbs)
    join = joinverb.add(verbs)
    for verb in (init, join, run, check):
        verb.add_argument(
            "--config", metavar="FILE", default=MASTER_FILE, help=f"default: {MASTER_FILE}"
        )
    return top


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.verb == "run":
            _run(options.config)
        elif options.verb in snapshotverbs.VERBS:
            snapshotverbs.run(options)
        elif options.verb == joinverb.VERB:
            joinverb.run(options)
        elif options.verb == "check":
            preconditions.check(options.config)
        else:
            _init(options)
    except HullmarkError as error:
        _tell(error, options)
        return error.exit_code
    return EXIT_OK


def _tell(error: HullmarkError, options: argparse.Namespace) -> None:
    if getattr(options, "output", "text") == "json":
        print(json.dumps(as_document(error), indent=2), file=sys.stderr)
        return
    print(f"{snapshotverbs.shown(options.verb)}: {error.message}", file=sys.stderr)
    if error.remedy:
        print(f"  what to do: {error.remedy}", file=sys.stderr)


def _run(config_file: str) -> None:
    config = preconditions.check(config_file)
    log.setup(config.log_level, config.log_form, config.log_to, TAG)
    # The web server's own log repeats what we answer; what is wrong with us is logged by us.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    serve(config, check=check, shown=shown)


def _reclaim(options: argparse.Namespace) -> None:
    by = whoever()
    owner = owner_of(Path(load_master(options.config).config.state_dir))
    with acting_as(owner):
        config = load_master(options.config, owned=True).config
        with noted(Path(config.state_dir), "cluster.reclaim", "cluster", by):
            begun = reclaim(config, options.reclaim, by=by, now=time.time())
    if options.output == "json":
        fields = {"cluster_id": begun.cluster_id, "incarnation": begun.incarnation}
        told = {"schema": "hullmark.master-reclaim/1", "changed": True, **fields}
        print(json.dumps(told, indent=2))
        return
    print(f"cluster {begun.cluster_id} begins incarnation {begun.incarnation}")
    print(f"next: masters that run go on by themselves; otherwise: {start_command('masterd')}")


def _init(options: argparse.Namespace) -> None:
    if options.reclaim is not None:
        _reclaim(options)
        return
    owner, by = owner_of(Path(load_master(options.config).config.state_dir)), whoever()
    shop = shop_authority(options.ca_chain, options.ca_key)
    with acting_as(owner):
        loaded = load_master(options.config, owned=True)
        made = init(loaded.config, options.address, shop)
        if made.new:
            done(Path(loaded.config.state_dir), "master.init", master_name(loaded.config), by)
        ports = listening(loaded, Folder.of(loaded.config))
    service, trouble = Service.LEFT, None
    if not options.no_start:
        try:
            service = start("masterd")
        except Refused as error:
            trouble = error
    result = Result(made, loaded.config, ports, service, trouble, options.config)
    told = json.dumps(result.document(), indent=2) if options.output == "json" else result.text()
    print(told)
    if trouble is not None:
        raise trouble


if __name__ == "__main__":
    sys.exit(main())
