"""YAML text with positions: every value knows its file and line.

Owns: bounded, safe reading of YAML that may be hostile. Refuses: duplicate keys, tags, aliases that multiply, huge or deep input.
Invariant: reading takes memory and time in proportion to the file.
"""
