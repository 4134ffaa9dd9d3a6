"""The agent daemon: sync with the leader, reconcile, watch, report.

Owns: the host's accepted orders and epoch on disk, and every action on the engine.
Refuses: to listen on a port, and to act on an epoch lower than one that it accepted.
Invariant: what runs keeps running when the agent, a master or the store goes away.

    sync ──orders──▶ ledger ──▶ reconcile ──actions──▶ workers ──calls──▶ engine
                                   ▲  │                                     │
                                   │  └──state──▶ board ──▶ report ──▶ leader
                                   └───────── observer ◀── events ──────────┘
"""
