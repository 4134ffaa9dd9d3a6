"""The daemons' configuration: YAML main file and drop-ins to frozen dataclasses.

Owns: the keys of agent.yaml and master.yaml, their defaults. Refuses: unknown keys and bad values, by line.
Invariant: what is loaded was wholly valid.
"""
