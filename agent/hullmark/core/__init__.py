"""Decisions: pure functions over the model (schedule, reconcile, one place for each).

Owns: what should happen, given what is known. Refuses: clock, random, network, files, processes, threads:
time and ids are arguments (jitter is the daemons' own). Invariant: the same arguments give the same answer.
"""
