#!/usr/bin/python3
"""Write the man pages: of the command from its own help, of the configuration files from the tables of keys.

python3 packaging/man/generate.py --out DIR
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import commandtree
import pages

from hullmark import __version__
from hullmark.config.keys import AGENT_KEYS, MASTER_KEYS

HERE = Path(__file__).resolve().parent


def written(date: str) -> Iterator[tuple[str, str]]:
    """Each page's file name and text."""
    stamp = pages.Stamp(date, __version__)
    tree = commandtree.read()
    yield "hullmark.1", pages.overview(tree, stamp)
    for command in tree.children:
        yield f"hullmark-{command.path[0]}.1", pages.command(command, stamp)
    tables: Mapping[str, tuple[object, ...]] = {"agent": AGENT_KEYS, "master": MASTER_KEYS}
    for kind, keys in tables.items():
        yield f"hullmark-{kind}.yaml.5", pages.configuration(kind, keys, stamp)
    for kind in (*tables, "proxy"):
        template = (HERE / f"hullmark-{kind}.8.in").read_text(encoding="utf-8")
        yield (
            f"hullmark-{kind}.8",
            template.replace("@DATE@", date).replace("@VERSION@", __version__),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the man pages.")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="made if missing")
    out: Path = parser.parse_args().out
    # reproducible-builds.org/specs/source-date-epoch
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    out.mkdir(parents=True, exist_ok=True)
    for name, text in written(date):
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
