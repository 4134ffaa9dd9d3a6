"""The host's operating system: inventory and what the agent can learn without the engine.

Owns: reading /proc, /etc and psutil. Refuses: to change anything on the host.
Invariant: every path that is read directly is below an injectable root, so that golden files can be compared.
"""
