"""Real etcd, as Debian 12 and Debian 13 ship it: one member, or a cluster of three.

    with EtcdCluster(folder, size=3) as etcd:
        config.write_text(etcd.master_yaml())
        etcd.members[1].pause()

The programs come from the releases' archives, unpacked once below build/roots and run with that release's own
loader and libraries: nothing is installed. The members speak TLS with client certificates and ask for a password,
unless told otherwise. They end with the process that started them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional

from hullmark.model.names import ROOT
from tests.cluster import Daemon, free_port, wait_until
from tests.integration.etcdcerts import Certificates
from tests.integration.namespaces import HostNetwork, outside
from tests.roots.archives import CACHE, mirror

VERSIONS = {"3.4": "bookworm", "3.5": "trixie"}
"""Which release of Debian has which version."""

NEWEST = "3.5"
USER = "hullmark"
PASSWORD = "words of a test"
ROOT_PASSWORD = "words of root"
PACKAGES = ("etcd-server", "etcd-client")


def programs(version: str) -> Path:
    """The root with that version's programs; made when first asked for, by one of all who ask at once."""
    codename = VERSIONS[version]
    root = CACHE / f"etcd-{codename}"
    if root.is_dir():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"etcd-{codename}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            _unpack(codename, root)
    return root


def _unpack(codename: str, root: Path) -> None:
    draft = root.with_name(f"draft-{root.name}")
    shutil.rmtree(draft, ignore_errors=True)
    command = ["mmdebstrap", "--variant=extract", f"--include={','.join(PACKAGES)}"]
    done = subprocess.run(
        [*outside(), *command, codename, str(draft), mirror()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise AssertionError(f"mmdebstrap of {codename} failed:\n{done.stdout[-3000:]}")
    draft.rename(root)


def program(version: str, name: str) -> list[str]:
    """The start of a command line: `etcd` or `etcdctl` of that version, by the loader of its release."""
    root = programs(version)
    folders = sorted(root.glob("usr/lib/*-linux-gnu*")) + sorted(root.glob("lib/*-linux-gnu*"))
    loaders = [loader for folder in folders for loader in folder.glob("ld-linux*.so.*")]
    libraries = ":".join(str(folder) for folder in folders)
    return [str(loaders[0]), "--library-path", libraries, str(root / "usr/bin" / name)]


class EtcdMember:
    """One member. `options` are more of etcd's, `data` is where its files are: both may be changed before `start`."""

    def __init__(
        self, cluster: EtcdCluster, name: str, address: str, inside: Sequence[str], fixed: bool
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.address = address
        self.inside = list(inside)
        """Goes before a command that is to run where the member does."""
        self.port = 2379 if fixed else free_port()
        self.peer_port = 2380 if fixed else free_port()
        self.data = cluster.folder / name
        self.version = cluster.version
        self.options: tuple[str, ...] = ()
        self.log = cluster.folder / f"{name}.log"
        self._daemon: Optional[Daemon] = None

    @property
    def endpoint(self) -> str:
        return f"{self.cluster.scheme}://{self.address}:{self.port}"

    @property
    def peer_url(self) -> str:
        return f"{self.cluster.scheme}://{self.address}:{self.peer_port}"

    @property
    def pid(self) -> int:
        assert self._daemon is not None, f"{self.name} was not started"
        return self._daemon.pid

    @property
    def running(self) -> bool:
        return self._daemon is not None and self._daemon.running

    def command(self) -> list[str]:
        options = {
            "name": self.name,
            "data-dir": str(self.data),
            "listen-client-urls": self.endpoint,
            "advertise-client-urls": self.endpoint,
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": ",".join(
                f"{member.name}={member.peer_url}" for member in self.cluster.members
            ),
            "initial-cluster-token": "test",
        }
        if self.cluster.tls:
            own = self.cluster.folder / "tls" / self.name
            for kind in ("", "peer-"):
                options[f"{kind}cert-file"] = f"{own}.crt"
                options[f"{kind}key-file"] = f"{own}.key"
                options[f"{kind}trusted-ca-file"] = str(self.cluster.ca)
                options[f"{kind}client-cert-auth"] = "true"
        words = [f"--{name}={value}" for name, value in options.items()]
        return [*self.inside, *program(self.version, "etcd"), *words, *self.options]

    def start(self) -> None:
        """Returns at once; see `wait`."""
        self._daemon = Daemon(self.name, self.command(), self.log)
        self._daemon.start()

    def wait(self, timeout_s: float = 30.0) -> None:
        """Until it takes part in a quorum and answers."""
        wait_until(self.healthy, f"etcd {self.name} answers (see {self.log})", timeout_s)

    def healthy(self) -> bool:
        """Whether it answers a read that all members agree on."""
        assert self.running, f"etcd {self.name} ended; see {self.log}"
        done = self.cluster.try_etcdctl("endpoint", "health", member=self, timeout_s=3)
        return done.returncode == 0

    def stop(self) -> None:
        """In an orderly way. A member that is paused, or down already, is fine."""
        self.resume()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Not in an orderly way."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._daemon is not None:
            self._daemon.kill(number)

    def pause(self) -> None:
        """It holds its connections and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)


class EtcdCluster:
    """`size` members, on loopback or each in one of `networks` (see HostNetwork), at its address and etcd's usual
    ports. With `users` there are `root`, and `USER` with all rights to keys below `rights`."""

    def __init__(
        self,
        folder: Path,
        version: str = NEWEST,
        *,
        size: int = 1,
        networks: Sequence[HostNetwork] = (),
        tls: bool = True,
        users: bool = True,
        rights: str = ROOT,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.version = version
        self.tls = tls
        self.users = users
        self.rights = rights
        self.user = USER if users else ""
        places = [(network.address, network.inside) for network in networks]
        places = places or [("127.0.0.1", [])] * size
        self.members = [
            EtcdMember(self, f"e{number}", address, inside, fixed=bool(networks))
            for number, (address, inside) in enumerate(places, 1)
        ]
        for member in self.members:
            member.options = tuple(options)
        if tls:
            self.certificates = Certificates(folder / "tls")
            for member in self.members:
                self.certificates.issue(member.name, [member.address])
            self.certificates.issue("client")
        self.password_file = folder / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(PASSWORD + "\n")

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def ca(self) -> Path:
        return self.folder / "tls/ca.crt"

    @property
    def cert(self) -> Path:
        return self.folder / "tls/client.crt"

    @property
    def key(self) -> Path:
        return self.folder / "tls/client.key"

    @property
    def endpoints(self) -> list[str]:
        return [member.endpoint for member in self.members]

    def master_yaml(self, endpoints: Sequence[str] = ()) -> str:
        """The `store` block of a master's configuration. `endpoints`: other ones, such as those of relays."""
        lines = ["store:", "  kind: etcd", "  etcd:"]
        lines.append(f"    endpoints: [{', '.join(endpoints or self.endpoints)}]")
        if self.tls:
            lines += [f"    ca: {self.ca}", f"    cert: {self.cert}", f"    key: {self.key}"]
        if self.users:
            lines += [f"    user: {self.user}", f"    password_file: {self.password_file}"]
        return "\n".join(lines) + "\n"

    def __enter__(self) -> EtcdCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    def start(self) -> None:
        """All members; returns once they answer and ask for the password."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()
        if self.users and not (self.folder / "users-made").exists():
            self._make_users()

    def stop(self) -> None:
        for member in self.members:
            with contextlib.suppress(AssertionError):
                member.stop()

    def leader(self, timeout_s: float = 15.0) -> EtcdMember:
        """The member that leads now; waits for an election that is under way."""
        found: list[EtcdMember] = wait_until(
            lambda: [member for member in self.members if member.running and _leads(self, member)],
            "an etcd member leads",
            timeout_s,
        )
        return found[0]

    def etcdctl(
        self, *arguments: str, member: Optional[EtcdMember] = None, user: str = "root"
    ) -> str:
        """etcd's own command, at one member or at all; what it says. Raises AssertionError where it fails."""
        done = self.try_etcdctl(*arguments, member=member, user=user)
        assert done.returncode == 0, f"etcdctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_etcdctl(
        self,
        *arguments: str,
        member: Optional[EtcdMember] = None,
        user: str = "root",
        timeout_s: float = 15.0,
    ) -> subprocess.CompletedProcess[str]:
        at = member or self.members[0]
        command = [*at.inside, *program(at.version, "etcdctl")]
        command += [f"--endpoints={member.endpoint if member else ','.join(self.endpoints)}"]
        command += [f"--command-timeout={timeout_s:g}s", f"--dial-timeout={timeout_s:g}s"]
        if self.tls:
            command += [f"--cacert={self.ca}", f"--cert={self.cert}", f"--key={self.key}"]
        if (self.folder / "users-made").exists():
            command += [f"--user={user}:{ROOT_PASSWORD if user == 'root' else PASSWORD}"]
        return subprocess.run(
            [*command, *arguments],
            env={**os.environ, "ETCDCTL_API": "3"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s + 15,
        )

    def _make_users(self) -> None:
        grant = ["--prefix=true", USER, "readwrite", self.rights]
        if not self.rights:
            grant = ["--from-key=true", USER, "readwrite", ""]
        for words in (
            ["user", "add", f"root:{ROOT_PASSWORD}"],
            ["user", "grant-role", "root", "root"],
            ["user", "add", f"{USER}:{PASSWORD}"],
            ["role", "add", USER],
            ["role", "grant-permission", *grant],
            ["user", "grant-role", USER, USER],
            ["auth", "enable"],
        ):
            done = self.try_etcdctl(*words)
            said = done.stdout + done.stderr
            assert done.returncode == 0 or "already" in said, f"{' '.join(words)}: {said}"
        (self.folder / "users-made").touch()


def _leads(cluster: EtcdCluster, member: EtcdMember) -> bool:
    done = cluster.try_etcdctl("endpoint", "status", member=member, timeout_s=2)
    if done.returncode:
        return False
    return done.stdout.split(", ")[4] == "true"  # ENDPOINT, ID, VERSION, SIZE, LEADER, ...
