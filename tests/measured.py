"""Times that tests measure by the way, kept in build/alerts-bench.json: how long each silent failure of a tool took to its alert."""

from __future__ import annotations

import json
from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[1] / "build" / "alerts-bench.json"


def keep(failure: str, seconds: float) -> None:
    """Of the newest run, in place of an older one's."""
    before = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    OUTPUT.parent.mkdir(exist_ok=True)
    made = OUTPUT.with_suffix(".new")
    made.write_text(json.dumps({**before, failure: round(seconds, 1)}, indent=2) + "\n")
    made.replace(OUTPUT)
    print(f"MEASURED from failure to alert: {seconds:5.1f} s  {failure}")
