"""The host's operating system: inventory and what the agent can learn without the engine.

Owns: reading /proc, /etc and psutil; what is said to the service manager. Refuses: to change anything on the host, but for
starting a service of Hullmark's own.
Invariant: every path that is read directly is below an injectable root, so that golden files can be compared.
"""
