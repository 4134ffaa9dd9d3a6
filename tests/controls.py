"""Controls in tests of other things: none that are shipped, as what the machine of the tests runs is nobody's subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hullmark.config import load_controls, shipped_controls


def own_controls(
    folder: Path, *files: str, shipped: bool = False, besides: Sequence[str] = ()
) -> str:
    """Lines of an agent's configuration, by which it looks only at what these texts of controls files say, and `besides` at these
    controls that are shipped, and writes what it finds below `folder`."""
    site = folder / "controls.d"
    site.mkdir(parents=True, exist_ok=True)
    if not shipped:
        (site / "00-none.yaml").write_text(none_shipped(folder, besides))
    for number, text in enumerate(files, 10):
        (site / f"{number}-own.yaml").write_text(text)
    return f"run_dir: {folder}/run\ncontrols: {{dir: '{site}'}}\nalerts: {{log: none}}\n"


def none_shipped(folder: Path, besides: Sequence[str] = ()) -> str:
    """A controls file that switches off all that are shipped but these. There is no folder `none` in this one."""
    shipped = load_controls(shipped_controls(), str(folder / "none")).specs
    ids = (spec.control_id for spec in shipped if spec.control_id not in besides)
    lines = (f"  - {{id: {control_id}, enabled: false}}\n" for control_id in ids)
    return "controls:\n" + "".join(lines)
