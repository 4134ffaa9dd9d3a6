"""What a mapping's keys come to, by the table of keys: nothing, a warning or a problem."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from hullmark.compose.findings import OWN, Node
from hullmark.compose.keys import SECTIONS, Section, Treatment
from hullmark.document import MapValue

NEAR = 0.8
"""A letter or two apart, by difflib.SequenceMatcher.ratio()."""


def judge(node: Node, path: str, *, done: Collection[str] = ()) -> bool:
    """Report the keys of a mapping that are not simply honoured; `done` were judged elsewhere.

    False, and a problem, where the value is no mapping.
    """
    section = SECTIONS[path]
    if not isinstance(node.value, MapValue):
        node.unfit(f"a mapping with {', '.join(section.keys)}")
        return False
    for name in node.value:
        if name not in done:
            _judge_key(node.child(name), section, name)
    return True


def _judge_key(node: Node, section: Section, name: str) -> None:
    key = section.keys.get(name)
    if key is None:
        _unknown(node, section, name)
    elif node.value in (None, False, "", [], {}) or key.treatment is Treatment.HONOURED:
        return
    elif key.treatment is Treatment.WARNED:
        node.warn(f"ignored: {key.why}")
    else:
        node.wrong(f"is not supported: {key.why}")


def _unknown(node: Node, section: Section, name: str) -> None:
    if name.startswith("x-") and name != OWN and section.extensible:
        if OWN in section.keys and get_close_matches(name, [OWN], cutoff=NEAR):
            node.warn(f"ignored, as every key that begins with x-; did you mean {OWN}?")
        return
    if name == OWN:
        node.wrong(f"{OWN} has no meaning here", "under a service")
        return
    near = get_close_matches(name, section.keys, n=1)
    hint = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    node.wrong(hint, "" if near else ", ".join(section.keys))
