"""Stock Debian and Ubuntu hosts in boxes: booted systems with an init of their own, for packages and whole clusters.

    with Bed() as bed:
        host = bed.host("web1", "bookworm", engine="docker")
        host.use_repository(folder, key)
        host.install("hullmark-agent")
        host.run("systemctl is-active docker")
        host.reboot()

Each host has its own address on a bridge that only the tests see, its own disk, process ids and cgroups, and no
way out to any other network. `python -m tests.hosts --help` is the same for a person.
"""

from tests.hosts.bed import Bed
from tests.hosts.host import CommandFailed, Host

__all__ = ["Bed", "CommandFailed", "Host"]
