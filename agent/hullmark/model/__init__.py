"""The nouns of Hullmark and their wire form.

Owns: every value that crosses a border (between rooms, processes or versions) as a frozen
dataclass, and the one way to write it as JSON and read it back (`wire`).
Refuses: input and output, decisions, other rooms, third-party packages.
Invariant: `from_wire(type(x), to_wire(x)) == x` for every value x of these types.
"""
