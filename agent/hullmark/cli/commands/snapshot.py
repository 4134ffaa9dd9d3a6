"""`hullmark snapshot`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Optional

import click

from hullmark.cli import door, show
from hullmark.cli.daemon import MASTER_FILE, become
from hullmark.cli.newfile import new_file
from hullmark.cli.options import Asked, offline, online
from hullmark.errors import BrokenState, MasterUnavailable

if TYPE_CHECKING:
    from hullmark.model.snapshotfile import End, Head

_CONFIG = click.option(
    "--config",
    metavar="FILE",
    default=MASTER_FILE,
    show_default=True,
    help="The master's configuration.",
)


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark snapshot save /var/backups/hullmark.snapshot
  hullmark snapshot verify /var/backups/hullmark.snapshot
  hullmark snapshot restore /var/backups/hullmark.snapshot
""",
)
def command() -> None:
    """Save what the cluster's store holds, check it, restore it."""


@command.command(
    short_help="Save a snapshot while the cluster runs.",
    epilog="""\b
Example:
  hullmark snapshot save /var/backups/hullmark.snapshot
  hullmark snapshot save --force latest.snapshot --output json
""",
)
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace FILE where it is there.")
@online
def save(asked: Asked, file: str, force: bool) -> None:
    """Save all that the cluster's store holds at one moment to FILE, mode 0600. Nothing is stopped for it.

    The apps' environment values are in it, so keep it as safe as those. Logins of people are not; tokens and invites are,
    as hashes. Keys of the masters are not: keep a copy of their pki folder as well.
    """
    from hullmark.model.snapshotfile import counted, held

    path = Path(file)
    lines = door.client(asked).raw_lines("/v1/snapshot")
    with new_file(path, replace=force) as out:
        try:
            keys, head, end = _written(lines, out)
        except BrokenState as error:
            raise MasterUnavailable(
                f"the snapshot did not come whole: {error.message}", remedy="save it again"
            ) from error
        size_bytes = out.tell()
    counts = counted(keys)
    if asked.json:
        show.document(
            "snapshot-save",
            {
                "file": file,
                "cluster_id": head.cluster_id,
                "epoch": str(head.epoch),
                "revision": head.revision,
                "entries": end.count,
                "counts": counts,
                "size_bytes": size_bytes,
                "sha256": end.sha256,
            },
        )
        return
    show.lines(
        f"saved {file}: {size_bytes / 1024:.0f} KiB, epoch {head.epoch}, revision {head.revision}",
        f"  holds  {held(counts)}",
        "  the apps' environment values are in it: keep it as safe as those",
    )


@command.command(
    short_help="Check a snapshot's file, offline.",
    epilog="""\b
Example:
  hullmark snapshot verify hullmark.snapshot
  hullmark snapshot verify hullmark.snapshot --ca root.pem --output json

\b
Exit codes: 0 good, 2 damaged, cut off, of another cluster, or of a newer
version.
""",
)
@click.argument("file", metavar="FILE")
@click.option(
    "--ca", metavar="FILE", help="The cluster's root certificate; this master's, if left out."
)
@_CONFIG
@offline
def verify(asked: Asked, file: str, ca: Optional[str], config: str) -> NoReturn:
    """Read all of FILE: is it whole, unchanged, and signed by a master of the cluster?

    It asks nobody. Without a root certificate it can't say whose signature it is, and says so.
    """
    more = ["--ca", ca] if ca else []
    become("masterd", ["snapshot-verify", *_arguments(asked, file, config), *more])


@command.command(
    short_help="Restore a snapshot into an empty store.",
    epilog="""\b
Example:
  systemctl stop hullmark-master
  hullmark snapshot restore hullmark.snapshot
  systemctl start hullmark-master
""",
)
@click.argument("file", metavar="FILE")
@click.option(
    "--incarnation",
    type=click.IntRange(min=2),
    metavar="N",
    help="Begin this incarnation, above all former ones; left out, the next.",
)
@_CONFIG
@offline
def restore(asked: Asked, file: str, incarnation: Optional[int], config: str) -> NoReturn:
    """Put what FILE holds into the empty store that this machine's master is configured for, of whatever kind.

    All masters have to be stopped. The cluster goes on under a new incarnation, which is signed, so that hosts obey it.
    Their containers go on: what is newer than the snapshot is kept, and listed by hullmark orphans. A restore that was
    cut short is begun again by the same command; nobody leads what is half restored.
    """
    more = ["--incarnation", str(incarnation)] if incarnation else []
    become("masterd", ["snapshot-restore", *_arguments(asked, file, config), *more])


def _arguments(asked: Asked, file: str, config: str) -> list[str]:
    return ["--config", config, "--output", asked.output, str(Path(file).absolute())]


def _written(lines: Iterator[bytes], out: BinaryIO) -> tuple[list[str], Head, End]:
    """Keys, head and end of what came. Raises BrokenState where it is not whole."""
    from hullmark.model.snapshotfile import Reader

    reader = Reader(_copied(lines, out))
    keys = [item.key for item in reader.items()]
    return keys, reader.head, reader.end


def _copied(lines: Iterator[bytes], out: BinaryIO) -> Iterator[bytes]:
    for line in lines:
        out.write(line + b"\n")
        yield line
