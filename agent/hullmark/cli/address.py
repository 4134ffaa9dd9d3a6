"""Where the master is, and what is needed to talk to it: options, then the environment, then the standard places."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.cli.options import Asked
from hullmark.errors import Forbidden, NotFound, UsageError

SOCKET = "/run/hullmark/master.sock"
MASTER_FILE = Path("/etc/hullmark/master.yaml")
TOKEN_FILE = "~/.config/hullmark/token"  # noqa: S105  (a path)
CA_FILE = "~/.config/hullmark/root.pem"
TOKEN_MAX_BYTES = 4096

_HTTPS = re.compile(r"https://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})/?")
_NAMES_SOCKET = re.compile(r"^[^#\n]*socket", re.MULTILINE)


@dataclass(frozen=True)
class Address:
    """A master by its Unix socket (`path`), or by host and port with a login (`token`, from `token_file`) and
    a root to verify it by."""

    path: str = ""
    host: str = ""
    port: int = 0
    token: str = ""
    ca_file: str = ""
    token_file: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self})"


def named(asked: Asked, environment: Mapping[str, str] = os.environ) -> str:
    """The URLs that were given, with commas between them; empty where none were."""
    return asked.master or environment.get("HULLMARK_MASTER", "")


def find(
    asked: Asked,
    environment: Mapping[str, str] = os.environ,
    master_file: Path = MASTER_FILE,
) -> tuple[Address, ...]:
    """One for each URL. Raises UsageError for a URL that is none, NotFound or Forbidden for a login that can't be used,
    InvalidInput for a master.yaml that names a socket and is wrong."""
    urls = named(asked, environment)
    if not urls:
        return (Address(path=_configured_socket(master_file) or SOCKET),)
    return tuple(_found(url.strip(), asked, environment) for url in urls.split(","))


def _found(url: str, asked: Asked, environment: Mapping[str, str]) -> Address:
    if url.startswith("unix:///"):
        return Address(path=url[len("unix://") :])
    found = parse_https(url)
    if found is None:
        raise UsageError(
            f"not a master's address: {url[:120]!r}",
            remedy="unix:///PATH or https://HOST:PORT; several with commas between them",
        )
    token_file = asked.token_file or environment.get("HULLMARK_TOKEN_FILE") or TOKEN_FILE
    ca_file = Path(asked.ca or environment.get("HULLMARK_CA") or CA_FILE).expanduser()
    if not ca_file.is_file():
        raise NotFound(
            f"{ca_file} does not exist: the cluster's root certificate is needed to trust {url}",
            remedy="copy pki/root.pem of the master's state folder there, or name it: --ca FILE",
        )
    path = Path(token_file).expanduser()
    return Address("", found.host, found.port, read_token(path), str(ca_file), str(path))


def parse_https(url: str) -> Optional[Address]:
    """Host and port of `https://HOST:PORT`; None for anything else."""
    found = _HTTPS.fullmatch(url)
    if found is None or not 0 < int(found["port"]) < 65536:
        return None
    return Address(host=found["host"].strip("[]"), port=int(found["port"]))


def read_token(path: Path) -> str:
    """Raises NotFound, or Forbidden for a file that others may read."""
    login = f"on the master: hullmark login --token-file FILE, then copy FILE to {path}"
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(TOKEN_MAX_BYTES)
    except OSError as error:
        raise NotFound(f"no login: {path}: {error.strerror}", remedy=login) from error
    if mode & 0o077:
        raise Forbidden(
            f"{path} is accessible to others (mode {mode:04o})",
            remedy=f"find out who read it, then: chmod 600 {path}",
        )
    token = content.decode("ascii", "replace").strip()
    if not token or not token.isprintable() or not token.isascii() or " " in token:
        raise NotFound(f"no login: {path} holds no token", remedy=login)
    return token


def _configured_socket(main: Path) -> str:
    """The `socket` of a master that is configured on this machine, empty where none says.

    Reading YAML takes longer than most commands do, so it is done only where a line names the key.
    """
    try:
        texts = [main.read_text("utf-8", "replace")]
        texts += [
            file.read_text("utf-8", "replace") for file in main.with_suffix(".d").glob("*.yaml")
        ]
    except OSError:
        return ""  # not a master's machine, or not for this user to read
    if not any(_NAMES_SOCKET.search(text) for text in texts):
        return ""
    from hullmark.config import load_master  # for this case only

    return load_master(str(main)).config.socket
