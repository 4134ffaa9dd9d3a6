"""The daemons' configuration: YAML main file and drop-ins to frozen dataclasses.

Owns: the keys of agent.yaml and master.yaml, their defaults. Refuses: unknown keys and bad values, by line.
Invariant: what is loaded was wholly valid.
"""

from hullmark.config.keys import AgentConfig, MasterConfig
from hullmark.config.loading import (
    AGENT_FILE,
    MASTER_FILE,
    Loaded,
    load_agent,
    load_master,
    shown,
)

__all__ = [
    "AGENT_FILE",
    "MASTER_FILE",
    "AgentConfig",
    "Loaded",
    "MasterConfig",
    "load_agent",
    "load_master",
    "shown",
]
