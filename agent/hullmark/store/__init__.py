"""The cluster's state: the Store protocol and its implementations.

Owns: durability, revisions, compare-and-set, the limits of a transaction. Refuses: to know what a value means.
Invariant: what `commit` acknowledged is there after a crash, and `changes` never misses one.
"""
