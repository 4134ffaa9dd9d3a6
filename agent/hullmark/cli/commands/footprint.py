"""`hullmark footprint`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import click

from hullmark.cli import failure, show
from hullmark.cli.counting import Counting
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, offline
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, Forbidden, InvalidInput, Refused, UsageError
from hullmark.footprint import Report, Verdict

EPILOG = """\b
Example:
  hullmark footprint
  hullmark footprint --record before.json.gz
  hullmark footprint --before before.json.gz
  hullmark footprint --before before.gz --after after.gz --output json

\b
Exit codes: 0 listed, recorded, or all that differs is announced,
            1 something differs that is not announced, 2 failed.
"""


@click.command(epilog=EPILOG)
@click.option("--record", "file", metavar="FILE", help="Write a picture of the whole host.")
@click.option("--before", metavar="FILE", help="Compare this picture with the host as it is.")
@click.option("--after", metavar="FILE", help="Compare with this picture instead.")
@click.option("--all", "everything", is_flag=True, help="Show every file, every difference.")
@offline
def command(
    asked: Asked, file: Optional[str], before: Optional[str], after: Optional[str], everything: bool
) -> int:
    """List everything that Hullmark and its containers have on this host, and why.

    With --record: write a picture of the whole host, which is FILE.gz packed. With --before: tell what differs from such
    a picture, and whether the documentation announces it. It changes nothing on the host, and asks nobody but
    its own engine.
    """
    if file and (before or after):
        raise UsageError("--record takes a picture, --before and --after compare: one at a time")
    if after and not before:
        raise UsageError("--after needs --before", remedy="name the picture to compare with")
    if file:
        return _record(asked, file)
    if before:
        return _compare(asked, before, after, everything=everything)
    return _list(asked, everything=everything)


def _record(asked: Asked, file: str) -> int:
    from hullmark.footprint import snapshot

    if os.geteuid() != 0:
        raise Forbidden("a picture of the whole host takes root", remedy="run it as root")
    try:
        with Counting("records of this host so far") as counting:
            number, looks = snapshot.record(Path(file), snapshot.Host(), counting.seen)
    except OSError as error:
        raise Refused(
            f"{file} can't be written: {error.strerror}",
            remedy="name a new file, in a folder that exists",
        ) from error
    unseen = [(look["key"], why) for look in looks for why in look["why"]]
    if asked.json:
        show.document(
            "footprint-record",
            {"file": file, "records": number, "not_looked_at": _pairs(unseen)},
        )
    else:
        failure.warn([f"not looked at: {what}: {why}" for what, why in unseen])
        show.lines(f"{file}  {number} records")
    return EXIT_OK


def _compare(asked: Asked, before: str, after: Optional[str], *, everything: bool) -> int:
    from hullmark import footprint

    if after is None and os.geteuid() != 0:
        raise Forbidden(
            "comparing with the host takes root", remedy="run it as root, or name --after FILE"
        )
    found = footprint.report(before, after)
    if asked.json:
        show.document("footprint-comparison", _comparison(found))
    else:
        from hullmark.cli import footprinttext

        show.lines(*footprinttext.comparison(found, everything=everything))
        show.lines("", footprinttext.summary(found))
    return EXIT_DEGRADED if found.not_announced else EXIT_OK


def _comparison(found: Report) -> dict[str, Any]:
    return {
        "before": vars(found.before),
        "after": vars(found.after),
        "announced": len(found.verdicts) - len(found.not_announced),
        "not_announced": len(found.not_announced),
        "differences": [_difference(one) for one in found.verdicts],
        "not_compared": _pairs(found.not_compared),
    }


def _difference(verdict: Verdict) -> dict[str, Any]:
    one, by = verdict.difference, verdict.announcement
    return {
        "kind": one.kind,
        "key": one.key,
        "change": one.change,
        "before": dict(one.before),
        "after": dict(one.after),
        "announced": by is not None,
        "announcement": by.name if by else "",
        "whose": by.whose.value if by else "",
        "reason": by.reason if by else "",
    }


def _list(asked: Asked, *, everything: bool) -> int:
    from hullmark.footprint import listing

    socket, exported = _configured()
    found = listing.of_this_host(socket, exported)
    if asked.json:
        holdings = found.holdings
        document = {
            "items": [vars(one) for one in found.items],
            "engine": {
                "name": holdings.engine if holdings else "",
                "version": holdings.version if holdings else "",
                "socket": holdings.socket if holdings else "",
                "live_restore": holdings.live_restore if holdings else None,
            },
            "warnings": found.warnings,
            "not_looked_at": _pairs(found.not_looked_at),
        }
        show.document("footprint", document)
    else:
        from hullmark.cli import footprinttext

        show.lines(*footprinttext.listing(found, everything=everything))
        failure.warn(found.warnings)
    return EXIT_OK


def _configured() -> tuple[str, tuple[str, ...]]:
    """The engine's socket and the files for load balancers, as the agent's configuration names them; that one is judged elsewhere, so a bad
    one names none."""
    from hullmark import config

    try:
        found = config.load_agent(AGENT_FILE).config
    except InvalidInput:
        return "", ()
    named = (
        found.services_export_hosts_file,
        found.services_export_json,
        found.services_export_haproxy,
    )
    return found.engine_socket, tuple(path for path in named if path)


def _pairs(found: Any) -> list[dict[str, str]]:
    return [{"what": what, "why": why} for what, why in found]
