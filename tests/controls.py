"""Controls in tests of other things: none that are shipped, as what the machine of the tests runs is nobody's subject."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hullmark.config import load_controls, shipped_controls


def own_controls(folder: Path, *files: str, shipped: bool = False) -> str:
    """Lines of an agent's configuration, by which it looks only at what these texts of controls files say, and writes what it finds
    below `folder`."""
    site = folder / "controls.d"
    site.mkdir(parents=True, exist_ok=True)
    if not shipped:
        (site / "00-none.yaml").write_text("controls:\n" + "".join(_switched_off(folder)))
    for number, text in enumerate(files, 10):
        (site / f"{number}-own.yaml").write_text(text)
    return f"run_dir: {folder}/run\ncontrols: {{dir: '{site}'}}\nalerts: {{log: none}}\n"


def _switched_off(folder: Path) -> Iterator[str]:
    for spec in load_controls(shipped_controls(), str(folder / "none")).specs:
        yield f"  - {{id: {spec.control_id}, enabled: false}}\n"
