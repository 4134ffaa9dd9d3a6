"""The master daemon: leadership, the scheduling loop, the API, the agents' port.

Owns: every write to the store. Refuses: to trust observed state from anyone but the host's own certificate.
Invariant: each write is one transaction that compares the leader record.
"""
