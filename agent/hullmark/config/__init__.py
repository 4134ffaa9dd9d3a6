"""The daemons' configuration: YAML main file and drop-ins to frozen dataclasses.

Owns: the keys of agent.yaml and master.yaml, their defaults; the host's policy files; controls and frameworks. Refuses: unknown keys and bad values,
by line, and for a daemon what others than root and itself may change.
Invariant: what is loaded was wholly valid.
"""

from hullmark.config.controls import (
    CONTROLS_DIR,
    Controls,
    load_controls,
    load_controls_file,
    shipped_controls,
)
from hullmark.config.frameworks import (
    FRAMEWORKS_DIR,
    framework_names,
    load_framework,
    load_framework_file,
    shipped_frameworks,
)
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
    "CONTROLS_DIR",
    "FRAMEWORKS_DIR",
    "MASTER_FILE",
    "POLICY_DIR",
    "AgentConfig",
    "Controls",
    "Loaded",
    "MasterConfig",
    "framework_names",
    "load_agent",
    "load_controls",
    "load_controls_file",
    "load_framework",
    "load_framework_file",
    "load_master",
    "load_policy",
    "load_policy_folder",
    "shipped_controls",
    "shipped_frameworks",
    "shown",
]
