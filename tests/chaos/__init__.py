"""Chaos: a pair of masters, three members of etcd and three hosts under seeded faults, and what must hold all the same.

pair      the bed: masters, store and hosts, each machine in a network namespace of its own
faults    what can be done to it, and how each fault proves that it took effect
load      clients that keep changing apps, and record each try
watching  what is seen from outside: the store's own history, what agents hold, what engines did
record    the history: plain facts with times of one clock
checker   the rules, as pure functions of a history
rounds    one seeded round, and `make chaos`
"""
