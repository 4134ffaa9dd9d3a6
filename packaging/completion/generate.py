#!/usr/bin/python3
"""Write completion of the command for bash, zsh and fish, from the command's own tree. Names of apps and hosts are not
completed: that would ask the master at each press of a key.

    python3 packaging/completion/generate.py --out DIR
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import commandtree
import inbash
import infish
import inzsh


def main() -> None:
    parser = argparse.ArgumentParser(description="Write completion for bash, zsh and fish.")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="made if missing")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    tree = commandtree.read()
    (out / "hullmark.bash").write_text(inbash.written(tree), encoding="utf-8")
    (out / "_hullmark").write_text(inzsh.written(tree), encoding="utf-8")
    (out / "hullmark.fish").write_text(infish.written(tree), encoding="utf-8")


if __name__ == "__main__":
    main()
