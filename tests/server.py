"""An image whose containers serve HTTP at hundreds of requests a second, made from this machine's HAProxy.

Busybox's web server starts a process for each connection, and lets nine wait: too few for a load. A container
answers `GET /` with a line `HOSTNAME ROUND PEER FORWARDED`: its host name, its environment's ROUND, the address
that the connection came from, and what X-Forwarded-For said. On `PROXIED` it expects the PROXY protocol, and PEER is what that
says. `GET /slow` answers after two seconds.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.integration.daemon import Engine, required

IMAGE = "localhost/hullmark-server:1"
PORT = 8080
PROXIED = 8081
CONFIGURATION = f"""\
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tarpit 2s
    backlog 1000
frontend all
    bind :{PORT}
    bind :{PROXIED} accept-proxy
    http-request tarpit deny_status 200 if {{ path /slow }}
    http-request return status 200 content-type text/plain lf-string "%[hostname] %[env(ROUND)] %[src] %[req.fhdr(x-forwarded-for)]\\n"
"""


def load_image(engine: Engine) -> str:
    """Its reference, once the engine has it."""
    config = {
        "Cmd": ["/bin/haproxy", "-db", "-f", "/etc/server.cfg"],
        "Env": ["PATH=/bin", "ROUND=-"],
    }
    files = {**files_of("haproxy"), "/etc/server.cfg": CONFIGURATION.encode()}
    return engine.load_image(IMAGE, config, files)


@functools.lru_cache(maxsize=2)
def files_of(name: str) -> Mapping[str, bytes]:
    """A program of this machine in `/bin`, its libraries where it looks for them."""
    program = of_the_machine(name)
    said = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    paths = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    found = {path: Path(path).read_bytes() for path in paths}
    found[f"/bin/{name}"] = Path(program).read_bytes()
    return found


def of_the_machine(name: str) -> str:
    """Not the HAProxy that is tested (`HULLMARK_TEST_HAPROXY`): containers are to be the same whichever that is."""
    tested = str(Path(os.environ.get("HULLMARK_TEST_HAPROXY", "/")).parent)
    folders = [each for each in os.environ["PATH"].split(":") if each != tested]
    return shutil.which(name, path=":".join(folders)) or required(name)
