"""One host of a bed: its disk, its network, and what a test does to it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import uuid
from concurrent.futures import Executor
from pathlib import Path
from typing import Optional, Union

from tests.cluster import wait_until
from tests.hosts import engines
from tests.hosts.box import REBOOT, Box
from tests.hosts.images import Image
from tests.hosts.repository import Repositories
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork

DOWN_S = 240.0
"""systemd waits 90 s for what doesn't end, twice at the worst: with Podman 4.3 a scope of a container is such a thing now
and then."""
# Paths that can't be on an overlay: engines put overlays of their own there.
BINDS = ("var/lib/docker", "var/lib/containerd", "var/lib/containers")
ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    *("HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive"),
)
# A file that a person changed stays, as in a shop that upgrades without anybody at the terminal.
APT = (
    *("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
)
SOURCES = "/etc/apt/sources.list.d/bed.sources"
KEY = "/etc/apt/keyrings/bed.asc"
OFFERED = "/etc/apt/sources.list.d/debian.list"


class CommandFailed(subprocess.CalledProcessError):
    """With what the command printed."""

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.stdout or ''}{self.stderr or ''}"


class Host:
    """Made by `Bed.host`. `address` is its own; `engine` is docker, podman or empty."""

    def __init__(
        self,
        folder: Path,
        image: Image,
        root: Path,
        engine: str,
        network: HostNetwork,
        group: str,
        starter: Executor,
        repositories: Repositories,
    ) -> None:
        self.name = network.name
        self.image = image
        self.engine = engine
        self.network = network
        self.address = network.address
        self.folder = folder
        self._lower = root
        self._root = folder / "root"
        self._starter = starter
        self._was_booted = False
        self._repositories = repositories
        binds = {Path("/", path): folder / Path(path).name for path in BINDS}
        console = folder / "console.log"
        self._box = Box(
            self.name, self._root, binds, group, network, console, unified=image.unified
        )

    def __repr__(self) -> str:
        return f"<{self.name} {self.image.name} {self.engine or 'no engine'} {self.address}>"

    @property
    def pid(self) -> int:
        """Its PID 1 as seen outside. Raises AssertionError where it is down."""
        return self._box.pid

    @property
    def running(self) -> bool:
        return self._box.running

    @property
    def has_systemd(self) -> bool:
        return self.image.has_systemd

    def boot(self, timeout_s: float = 60.0) -> None:
        """Return when all services were started and the engine answers."""
        self._starter.submit(self._start).result()
        self._wait_until_up(timeout_s)

    def stop(self, timeout_s: float = DOWN_S) -> None:
        """Down in good order, as by its power button. A host that is down already is fine."""
        if self.running:
            self.run(["/sbin/poweroff"], check=False)
            self._box.wait_for_end(timeout_s)

    def kill(self) -> None:
        """Power loss: every process ends at once. What was written, also without a sync, is on its disk."""
        self._box.kill()

    def reboot(self, timeout_s: float = DOWN_S) -> None:
        """In good order; return as `boot` does."""
        self.run(["/sbin/reboot"], check=False)
        code = self._box.wait_for_end(timeout_s)
        assert code == REBOOT, f"{self.name} went down, but not to boot again:\n{self._box.tail()}"
        self.boot(timeout_s)

    def cut(self) -> None:
        """Unplug its wire."""
        self.network.cut()

    def heal(self) -> None:
        """Plug it in. Idempotent."""
        self.network.heal()

    def run(
        self,
        command: Union[str, list[str]],
        *,
        check: bool = True,
        timeout_s: float = 120.0,
        input: Optional[str] = None,  # noqa: A002
    ) -> subprocess.CompletedProcess[str]:
        """As root, a str by the host's shell. Raises CommandFailed, with its output, for an exit code that isn't 0."""
        words = ["sh", "-c", command] if isinstance(command, str) else command
        with subprocess.Popen(
            self.inside(words),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        ) as process:
            try:
                output, errors = process.communicate(input, timeout_s)
            except BaseException:
                _kill_with_children(process)
                raise
        if check and process.returncode:
            raise CommandFailed(process.returncode, command, output, errors)
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    def inside(self, command: list[str]) -> list[str]:
        """The command as one to be run outside, for those who start processes themselves."""
        return self._box.inside(["env", "-i", *ENVIRONMENT, *command])

    def path(self, path: str) -> Path:
        """A file of the host's as seen from outside, /run too while it runs. Absolute symbolic links in it
        lead to the machine's own files."""
        pid = self._box.init()
        return Path(f"/proc/{pid}/root" if pid else self._root, path.lstrip("/"))

    def read(self, path: str) -> str:
        return self.path(path).read_text()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """As root's; folders above it are made."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def put(self, local: Path, path: str) -> None:
        """A copy of a file or folder of ours, as root's."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if local.is_dir():
            shutil.copytree(local, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(local, target)

    def use_repository(self, folder: Path, key: Optional[Path] = None) -> None:
        """Install from this signed repository from now on, and from it alone. `folder` has `apt/` in it, as
        `make repo` makes it; `key` is the public key, where it isn't the one beside it."""
        url = self._repositories.serve(folder)
        key = key or folder / "apt/hullmark.asc"
        # apt knows by the name whether a key is armoured.
        armoured = key.read_bytes().startswith(b"-----BEGIN")
        name = KEY if armoured else KEY.replace(".asc", ".gpg")
        self.put(key, name)
        self.path(name).chmod(0o644)
        self.write(SOURCES, self._repositories.sources(folder, url, name))
        self.run([*APT, "update"])

    def install(self, *packages: str, options: tuple[str, ...] = ()) -> str:
        """By apt-get from that repository, with dependencies; what apt printed. Raises CommandFailed."""
        done = self.run([*APT, "install", *options, *packages], timeout_s=300.0)
        return done.stdout + done.stderr

    def use_offered(self) -> None:
        """Install from what the image has at hand of the distribution's packages too (see `images`)."""
        self.write(OFFERED, "deb [trusted=yes] file:/srv/debian ./\n")
        self.run([*APT, "update"])

    def apt(self, *arguments: str) -> str:
        """Another apt-get command, such as `remove NAME`; what it printed. Raises CommandFailed."""
        done = self.run([*APT, *arguments], timeout_s=300.0)
        return done.stdout + done.stderr

    def prepare(self) -> None:
        """Its disk, before its first boot."""
        for name in ("root", "upper", "work", *(Path(path).name for path in BINDS)):
            (self.folder / name).mkdir(parents=True)
        # Relative, as a colon in the path of the cache would separate two layers; volatile, as nothing has to
        # survive the machine's own end.
        layers = f"lowerdir={self._lower.name},upperdir={self.folder}/upper,workdir={self.folder}/work,volatile"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", layers, str(self._root)],
            check=True,
            cwd=self._lower.parent,
        )
        for path in BINDS:
            (self._root / path).mkdir(parents=True, exist_ok=True)
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self.write("/etc/resolv.conf", f"nameserver {HOST_ADDRESS}\n")
        self.write("/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        engines.choose(self._root, self.engine)

    def settle(self) -> None:
        """After its first boot."""
        for command in self.image.first:
            self.run(command)

    def _start(self) -> None:
        """Its network is set up anew each time: as on a real host, no rule or device of an engine outlives a boot."""
        if self._was_booted:
            self.network.renew()
        self._was_booted = True
        self.network.route_by(HOST_ADDRESS)
        self._box.start()

    def _wait_until_up(self, timeout_s: float) -> None:
        wait_until(self._is_up, f"{self.name} has started all services", timeout_s)
        if self.engine:
            socket = engines.SOCKETS[self.engine]
            wait_until(
                lambda: engines.answers(self.path(socket)),
                f"{self.engine} of {self.name} answers",
                timeout_s,
            )

    def _is_up(self) -> bool:
        assert self.running, f"{self.name} went down:\n{self._box.tail()}"
        if self.has_systemd:
            state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
            return state in {"running", "degraded"}
        level = self.run("runlevel; pgrep -x rc; pgrep -x startpar", check=False).stdout
        return re.fullmatch(r"N [2-5]\n", level) is not None


def _kill_with_children(process: subprocess.Popen[str]) -> None:
    """nsenter's child is the command; it doesn't end with nsenter."""
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):
        for child in listing.read_text().split():
            subprocess.run(["kill", "-9", child], stderr=subprocess.DEVNULL)
    process.kill()
