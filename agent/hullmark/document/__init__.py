"""YAML text with positions: every value knows its file and line.

Owns: bounded, safe reading of YAML that may be hostile; scalars as YAML 1.2 reads them.
Refuses: duplicate keys, unknown tags, several documents, aliases that multiply, huge or deep input.
Invariant: reading takes memory and time in proportion to the file.
"""

from hullmark.document.reader import MAX_BYTES, parse, read
from hullmark.document.values import ListValue, MapValue, Tagged, line_of, problem_at

__all__ = ["MAX_BYTES", "ListValue", "MapValue", "Tagged", "line_of", "parse", "problem_at", "read"]
