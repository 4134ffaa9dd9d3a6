"""The fragment for a shop's own load balancer, read by the HAProxy that is installed; and one that it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hullmark.core.endpointfiles import haproxy_fragment
from hullmark.model.app import PortMode
from hullmark.model.directory import ServiceName
from hullmark.model.services import Published, ServiceReach, Spot

OWN = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 10s
    timeout server 10s
frontend shop
    bind 127.0.0.1:18080
    default_backend shop.api_v2.8080
"""
SPOTS = (Spot("web1", "10.0.0.1", 8080, 1), Spot("web2.example", "10.0.0.2", 8080))
BOUND = (Spot("web1", "10.0.0.1", 9001, 1), Spot("web1", "fd00::1", 9002, 1))
SERVICES = (
    ServiceReach(
        ServiceName("shop", "api_v2"),
        published=(Published(8080, 80, spots=SPOTS), Published(8443, 443)),
    ),
    ServiceReach(ServiceName("edge", "Lb.1"), published=(Published(0, 90, PortMode.HOST, spots=BOUND),)),
)  # fmt: skip


def checked(folder: Path, fragment: str) -> subprocess.CompletedProcess[str]:
    """Beside the shop's own file, as `-f` takes both."""
    (folder / "own.cfg").write_text(OWN)
    (folder / "hullmark.cfg").write_text(fragment)
    files = ["-f", str(folder / "own.cfg"), "-f", str(folder / "hullmark.cfg")]
    return subprocess.run(
        ["haproxy", "-c", *files], check=False, capture_output=True, text=True, timeout=20
    )


def test_haproxy_takes_the_fragment(tmp_path: Path) -> None:
    done = checked(tmp_path, haproxy_fragment(SERVICES))
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_haproxy_would_say_what_is_wrong(tmp_path: Path) -> None:
    fragment = haproxy_fragment(SERVICES).replace(" check backup", " chek backup")
    done = checked(tmp_path, fragment)
    assert done.returncode != 0
    assert "chek" in done.stderr
