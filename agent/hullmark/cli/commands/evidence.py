"""`hullmark evidence`"""

from __future__ import annotations

import getpass
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import click

from hullmark.cli import door, show
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, offline, online, writing
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, NotFound, Refused, UsageError

if TYPE_CHECKING:
    from hullmark.cli.client import Client
    from hullmark.cli.evidencemaking import Gathered, Period
    from hullmark.evidence.signers import Signer

FRAMEWORK = "pci-dss-4.0.1"
SIGN_PATH = "/v1/evidence/sign"
Decorated = Callable[..., Any]


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark evidence export --from 2026-10-01 --to 2026-11-01 -o october.zip
  hullmark evidence fingerprint
  hullmark evidence verify october.zip --fingerprint 5b1e...

\b
On a host without a cluster:
  hullmark evidence export --local --from 7d --to now -o web1.zip
  hullmark evidence fingerprint --local
""",
)
def command() -> None:
    """Evidence for assessors: make a pack, verify it anywhere, trace a requirement to its records."""


def _local(function: Decorated) -> Decorated:
    flag = click.option(
        "--local",
        is_flag=True,
        help="Of this host alone, from its own audit log: for a host without a cluster. As root.",
    )
    config = click.option(
        "--config", metavar="FILE", default=AGENT_FILE, show_default=True,
        help="With --local: the agent's configuration.",
    )  # fmt: skip
    return flag(config(function))


_FRAMEWORK = click.option(
    "--framework", "name", metavar="NAME", default=FRAMEWORK, show_default=True,
    help="A shipped framework, or one of /etc/hullmark/frameworks.",
)  # fmt: skip


@command.command(
    short_help="Make a signed pack for an assessor.",
    epilog="""\b
Example:
  hullmark evidence export --from 2026-10-01 --to 2026-11-01 -o october.zip
  hullmark evidence export --host web1 --from 7d --to now -o web1.zip
  hullmark evidence export --local --from 1d --to now -o this-host.zip
""",
)
@_FRAMEWORK
@click.option(
    "--from",
    "begins",
    required=True,
    metavar="WHEN",
    help="A day (UTC), a time, or a duration ago.",
)
@click.option(
    "--to",
    "ends",
    required=True,
    metavar="WHEN",
    help="The first moment that is not in it; or: now.",
)
@click.option("--host", metavar="HOST", default="", help="Only this host.")
@_local
@writing
def export(
    asked: Asked, name: str, begins: str, ends: str, host: str, file: str, local: bool, config: str
) -> None:
    """Put together what records prove of a framework's requirements in a period: a report that prints, tables, raw output, the records
    themselves, a manifest of hashes, and a master's signature.

    For auditors and administrators. What could not be told is a remark in the report. WHEN is 2026-11-01, 2026-11-24T01:30:00Z, 30d or now.
    """
    from hullmark.cli import evidencemaking, evidencetext

    now = time.time()
    when = evidencemaking.period(begins, ends, now)
    if when.begins >= now:
        raise UsageError("the period has not begun yet")
    framework = evidencemaking.framework(name)
    path = Path(file)
    if path.exists():
        raise UsageError(f"{file} is there already", remedy="name another file")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}")
    if local and host:
        raise UsageError("--local is of this host, and no other")
    if local:
        gathered, signer = _of_this_host(config, when, path.parent, now)
    else:
        gathered, signer = _of_masters(asked, host, when, path.parent, name)
    by = getpass.getuser()
    manifest, story = evidencemaking.make(path, gathered, framework, when, by, now, signer)
    size = path.stat().st_size
    if asked.json:
        show.document(
            "evidence-export",
            evidencetext.made_document(file, size, manifest, story, signer.fingerprint),
        )
    else:
        show.lines(*evidencetext.made(file, size, manifest, story, signer.fingerprint))


def _of_this_host(config: str, when: Period, folder: Path, now: float) -> tuple[Gathered, Signer]:
    from hullmark.cli import evidencelocal
    from hullmark.evidence import signers

    found = evidencelocal.configuration(config)
    gathered = evidencelocal.gather(found, when, folder)
    name = gathered.of.partition(" ")[2]
    return gathered, signers.of_this_host(found.state_dir, name, getpass.getuser(), now)


def _of_masters(
    asked: Asked, host: str, when: Period, folder: Path, name: str
) -> tuple[Gathered, Signer]:
    from hullmark.cli import evidencecluster
    from hullmark.evidence import signers
    from hullmark.model.evidence import PackSignature, SignRequest
    from hullmark.model.moments import day
    from hullmark.model.wire import to_wire

    client = door.client(asked, answer_s=evidencecluster.SLOW_S)
    gathered = evidencecluster.gather(asked, client, host, when, folder)
    what = f"{name}, {day(when.begins)} to {day(when.ends)}, {host or 'all hosts'}"

    def ask(digest: str) -> PackSignature:
        request = to_wire(SignRequest(digest, what[:400]))
        return client.decoded(PackSignature, client.change("POST", SIGN_PATH, request))

    return gathered, signers.of_master(_root(client), ask)


def _root(client: Client) -> str:
    from hullmark.model.api import Authority

    return client.ask(Authority, "/v1/ca").root_pem


@command.command(
    short_help="Verify a pack, offline.",
    epilog="""\b
Example:
  hullmark evidence verify october.zip --fingerprint 5b1e...

\b
Exit codes: 0 nothing was changed, 2 it is not good, and why.
""",
)
@click.argument("file", metavar="PACK")
@click.option(
    "--fingerprint", required=True, metavar="SHA256",
    help="Of the cluster's root, from somebody you trust: hullmark evidence fingerprint; of a host without a cluster: with --local.",
)  # fmt: skip
@offline
def verify(asked: Asked, file: str, fingerprint: str) -> int:
    """Check that a pack is whole and unchanged, that a master of the cluster with this root signed it, and that the records in it are
    those that masters sealed.

    It needs no network, no daemon and no other file.
    """
    from hullmark.cli import evidencetext
    from hullmark.evidence import verifying

    try:
        with Path(file).open("rb") as pack:
            verdict = verifying.verify(pack, fingerprint)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}") from error
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror}") from error
    if asked.json:
        show.document("evidence-verify", evidencetext.verified_document(file, verdict))
    else:
        show.lines(*evidencetext.verified(file, verdict))
    return EXIT_OK if verdict.good else EXIT_FAILED


@command.command(
    short_help="The root's fingerprint, to be noted outside of packs.",
    epilog="""\b
Example:
  hullmark evidence fingerprint
  hullmark evidence fingerprint --local
""",
)
@_local
@online
def fingerprint(asked: Asked, local: bool, config: str) -> None:
    """Show which fingerprint packs are verified with: of the cluster's root, or with --local of this host's own key.

    Ask on a master itself, by its Unix socket, and tell it to assessors by another way than with the pack.
    """
    from hullmark.evidence import signers

    if local:
        from hullmark.cli import evidencelocal

        found = signers.local_fingerprint(evidencelocal.configuration(config).state_dir)
    else:
        found = signers.of_root(_root(door.client(asked)))
    if asked.json:
        show.document("evidence-fingerprint", {"fingerprint": found, "local": local})
    else:
        show.lines(found)


@command.command(
    short_help="From a requirement to sealed records.",
    epilog="""\b
Example:
  hullmark evidence trace 10.2.1.2 --host web1
  hullmark evidence trace 10.2.1.2 --host web1 --output json
  hullmark evidence trace 10.2.1.2 --local

\b
Exit codes: 0 each function has a result in a whole chain, 1 some have
none, 2 the chain is broken.
""",
)
@click.argument("requirement", metavar="REQUIREMENT")
@click.option("--host", metavar="HOST", default="", help="Which host; needed but with --local.")
@_FRAMEWORK
@_local
@online
def trace(asked: Asked, requirement: str, host: str, name: str, local: bool, config: str) -> int:
    """Follow a requirement to its controls on a host, to their newest results, to the record of each, and through the chain of
    records to what masters sealed.
    """
    from hullmark.cli import evidencemaking, evidencetext, evidencetracing

    wanted = evidencetracing.requirement(evidencemaking.framework(name), requirement)
    if not local and not host:
        raise UsageError("a trace is of one host", remedy="--host HOST, or --local for this one")
    now = time.time()
    when = evidencemaking.Period(now - 2 * 86400, now + 3600)
    with tempfile.TemporaryDirectory() as folder:
        gathered = _traced(asked, host, when, Path(folder), None if not local else config)
        part = next((one for one in gathered.parts if one.log in gathered.hosts), None)
        if part is None or not part.last:
            raise NotFound(f"there are no records of {host or 'this host'} of the last days")
        results = evidencetracing.newest(part.lines(), wanted)
        standing = next(each for one, each in evidencemaking.standings(gathered) if one is part)
        found = evidencetracing.trace(wanted, part.of, part, results, standing)
    if asked.json:
        show.document("evidence-trace", found, good=found.good)
    else:
        log, has_cluster = _of_log(config) if local else ("", True)
        show.lines(*evidencetext.traced(found, log, has_cluster=has_cluster))
    if found.chain != "whole":
        return EXIT_FAILED
    return EXIT_OK if found.good else EXIT_DEGRADED


def _of_log(config: str) -> tuple[str, bool]:
    """This host's folder, and whether it has a cluster."""
    from hullmark.cli import enrolledhere, evidencelocal

    found = evidencelocal.configuration(config)
    return found.audit_dir, enrolledhere.is_enrolled(found.state_dir)


def _traced(asked: Asked, host: str, when: Period, folder: Path, config: Optional[str]) -> Gathered:
    """Records of the last three days: each check's result is told at least once a day."""
    if config is not None:
        from hullmark.cli import evidencelocal

        return evidencelocal.gather(evidencelocal.configuration(config), when, folder)
    from hullmark.cli import evidencecluster

    return evidencecluster.records_of(asked, door.client(asked), host, when, folder)
