"""`join`, as a verb of `python -m hullmark.masterd`: what it is given, and what it tells."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from hullmark.config import load_master
from hullmark.errors import InvalidInput, NotFound, Problem, Refused, UsageError
from hullmark.host.service import Service, start
from hullmark.launchers import start_command
from hullmark.masterd.folder import Folder, listening
from hullmark.masterd.init import Made, master_name, shop_authority
from hullmark.masterd.joining import RootAtHand, Way, join
from hullmark.masterd.owner import acting_as, owner_of
from hullmark.masterd.verbnotes import done, whoever
from hullmark.pki.files import read_private
from hullmark.pki.invites import MASTER, MAX_TOKEN_CHARACTERS, Invite

VERB = "join"
STANDARD_INPUT = "-"


def add(verbs: Any) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        VERB,
        help="be another master of a cluster that is there",
        description="Be another master of the cluster in the configured etcd. May be repeated.",
    )
    verb.add_argument("master", nargs="?", default="", metavar="URL", help="the leader's API")
    verb.add_argument(
        "--token-file", metavar="FILE", help="from hullmark master invite; - for standard input"
    )
    verb.add_argument("--ca-sha256", default="", metavar="FP", help="the root's fingerprint")
    verb.add_argument("--address", action="append", default=[], metavar="A", help="as in init")
    verb.add_argument("--root-key", metavar="FILE", help="the root's key, instead of a token")
    verb.add_argument("--root-cert", metavar="FILE", help="the root's certificate")
    verb.add_argument(
        "--ca-chain", metavar="FILE", help="the shop's own intermediate, its root last"
    )
    verb.add_argument("--ca-key", metavar="FILE", help="the intermediate's key")
    verb.add_argument(
        "--no-start", action="store_true", help="leave the installed service as it is"
    )
    verb.add_argument("--output", choices=("text", "json"), default="text")
    return verb


def run(options: argparse.Namespace) -> None:
    """Raises HullmarkError; also where all is made and only the service could not be started."""
    way = way_of(options)
    owner, by = owner_of(Path(load_master(options.config).config.state_dir)), whoever()
    with acting_as(owner):
        loaded = load_master(options.config, owned=True)
        made = join(loaded.config, way, options.address)
        if made.new:
            done(Path(loaded.config.state_dir), "master.join", master_name(loaded.config), by)
        ports = listening(loaded, Folder.of(loaded.config))
    service, trouble = Service.LEFT, None
    if not options.no_start:
        try:
            service = start("masterd")
        except Refused as error:
            trouble = error
    if options.output == "json":
        document = _document(made, service, failed=trouble is not None)
        document["name"] = master_name(loaded.config)
        document["state_dir"] = loaded.config.state_dir
        document["agents_listen"], document["api_listen"] = ports.agents_listen, ports.api_listen
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_lines(made, service, master_name(loaded.config))))
    if trouble is not None:
        raise trouble


def way_of(options: argparse.Namespace) -> Way:
    """Raises UsageError where the options are not one way, InvalidInput for a token that is none."""
    shop = shop_authority(options.ca_chain, options.ca_key)
    if bool(options.root_key) != bool(options.root_cert):
        raise UsageError("--root-key and --root-cert belong together")
    given = [bool(options.token_file), bool(options.root_key), shop is not None]
    if sum(given) != 1:
        raise UsageError(
            "one of --token-file, --root-key with --root-cert, or --ca-chain with --ca-key is needed",
            remedy="on the leader: hullmark master invite NAME --token-file FILE",
        )
    if options.master and not options.token_file:
        raise UsageError("a URL goes with --token-file only")
    root = None
    if options.root_key:
        root = RootAtHand(Path(options.root_key), Path(options.root_cert))
    invite = _invite(options.token_file, options.master) if options.token_file else None
    return Way(invite, root, shop, options.ca_sha256)


def _invite(token_file: str, master: str) -> Optional[Invite]:
    """None for a file that is not there or is empty: a master that joined needs no token any more."""
    if token_file == STANDARD_INPUT:
        token = sys.stdin.read(MAX_TOKEN_CHARACTERS + 1).strip()
    else:
        try:
            token = read_private(Path(token_file)).decode("ascii", errors="replace").strip()
        except NotFound:
            token = ""
        except OSError as error:
            problem = Problem(f"can't be read: {error.strerror}", file=token_file)
            raise InvalidInput([problem]) from error
    if not token:
        return None
    invite = Invite.parse(token, MASTER)
    if master and not master.startswith("https://"):
        raise UsageError("the leader's URL begins with https://")
    return dataclasses.replace(invite, masters=(master.rstrip("/"),)) if master else invite


def _document(made: Made, service: Service, *, failed: bool) -> dict[str, Any]:
    return {
        "schema": "hullmark.master-join/1",
        "changed": made.new or service is Service.STARTED,
        "cluster_id": made.cluster_id,
        "root_sha256": made.root_fingerprint,
        "addresses": list(made.addresses),
        "ignored": list(made.ignored),
        "service": "failed" if failed else service.value,
    }


def _lines(made: Made, service: Service, name: str) -> Iterator[str]:
    yield "joined" if made.new else "there already: nothing was changed"
    yield f"  master        {name}"
    yield f"  cluster       {made.cluster_id}"
    yield f"  root (SHA256) {made.root_fingerprint}"
    yield f"  addresses     {', '.join(made.addresses) or 'none'}"
    for address in made.ignored:
        yield f"note: {address} was not added: put it under `addresses` in master.yaml"
    if service in (Service.STARTED, Service.RUNNING):
        yield f"its service {'is started' if service is Service.STARTED else 'runs'}; next: hullmark status"
    else:
        yield f"next: start the master: {start_command('masterd')}; then: hullmark status"
