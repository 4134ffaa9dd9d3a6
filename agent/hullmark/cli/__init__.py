"""The operator's commands, one file each.

Owns: arguments, output, exit codes. Refuses: decisions: it asks a master, or reads files offline.
Invariant: every command has `--help` with examples and `--output json` with a `schema` field.
"""
