"""YAML text with positions: every value knows its file and line.

Owns: bounded, safe reading of YAML that may be hostile; scalars as YAML 1.2 reads them.
Refuses: duplicate keys, unknown tags, several documents, aliases that multiply, huge or deep input.
Invariant: reading takes memory and time in proportion to the file.
"""

from hullmark.document.files import decode, name_of, read_bytes
from hullmark.document.reader import parse, read, read_mapping
from hullmark.document.values import ListValue, MapValue, Tagged, line_of, problem_at

__all__ = [
    "ListValue",
    "MapValue",
    "Tagged",
    "decode",
    "line_of",
    "name_of",
    "parse",
    "problem_at",
    "read",
    "read_bytes",
    "read_mapping",
]
