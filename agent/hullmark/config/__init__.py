"""The daemons' configuration: YAML main file and drop-ins to frozen dataclasses.

Owns: the keys of agent.yaml and master.yaml, their defaults; the host's policy files. Refuses: unknown keys and bad values,
by line, and for a daemon what others than root and itself may change.
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
from hullmark.config.policy import POLICY_DIR, load_policy, load_policy_folder

__all__ = [
    "AGENT_FILE",
    "MASTER_FILE",
    "POLICY_DIR",
    "AgentConfig",
    "Loaded",
    "MasterConfig",
    "load_agent",
    "load_master",
    "load_policy",
    "load_policy_folder",
    "shown",
]
