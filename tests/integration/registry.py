"""Debian's docker-registry on loopback, or where the hosts of a fleet reach it.

    with Registry(user="robot", password="...") as registry:
        digest = registry.push("team/web:1")
        registry.ref("team/web:1")            # 127.0.0.1:PORT/team/web:1
        registry.delete("team/web:1")         # the tag is gone from then on

`relay.Relay(registry.port, bytes_per_s=...)` stands before it for slow pulls. Docker takes registries on 127.0.0.0/8 without TLS; our Podman engine is configured to, and so are engines with a
network of their own for HOST_ADDRESS.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional
from urllib.parse import urljoin

import bcrypt
import requests

from tests.cluster import free_port, wait_until
from tests.integration import image
from tests.integration.daemon import required
from tests.integration.workspace import Workspace

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{host}"}}
"""
AUTHENTICATION = """\
auth:
  htpasswd: {{realm: test, path: {folder}/htpasswd}}
"""


class Registry:
    """`host` is what references start with. With a user, every request needs the password."""

    def __init__(self, *, user: str = "", password: str = "", address: str = "127.0.0.1") -> None:
        self.user = user
        self.password = password
        self.port = free_port()
        self.host = f"{address}:{self.port}"
        self.workspace = Workspace.make("registry")
        self._process: Optional[subprocess.Popen[bytes]] = None

    def ref(self, name: str) -> str:
        """The full reference of `team/web:1` in this registry."""
        return f"{self.host}/{name}"

    def set_password(self, password: str) -> None:
        """Valid from the next request on; what was given out as a token before is, too."""
        self.password = password
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        (self.workspace.path / "htpasswd").write_text(f"{self.user}:{digest}\n")

    def start(self) -> None:
        folder = self.workspace.path
        text = CONFIGURATION.format(folder=folder, host=self.host)
        if self.user:
            text += AUTHENTICATION.format(folder=folder)
            self.set_password(self.password)
        (folder / "registry.yaml").write_text(text)
        with (folder / "registry.log").open("ab") as log:
            self._process = subprocess.Popen(
                [required("docker-registry"), "serve", f"{folder}/registry.yaml"],
                env={**os.environ, **self.workspace.marker, "OTEL_TRACES_EXPORTER": "none"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Down, its images kept; `start` brings it back on the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        self.workspace.remove()

    def push(
        self,
        name: str,
        config: Optional[Mapping[str, Any]] = None,
        files: Optional[Mapping[str, bytes]] = None,
    ) -> str:
        """Put a busybox image under `team/web:1`; returns its digest (`sha256:...`). See `image.build`."""
        built = image.build(config or {}, files or {})
        repository, _ = _split(name)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._upload(repository, CONFIG, built.configuration),
            "layers": [
                self._upload(repository, LAYER, gzip.compress(layer, 1, mtime=0))
                for layer in built.layers
            ],
        }
        answer = self._ask("PUT", name, json.dumps(manifest).encode())
        return str(answer.headers["Docker-Content-Digest"])

    def _upload(self, repository: str, kind: str, content: bytes) -> dict[str, Any]:
        """Put a blob; returns its descriptor for a manifest."""
        digest = f"sha256:{image.digest(content)}"
        begun = self._request("POST", f"/v2/{repository}/blobs/uploads/")
        self._request("PUT", begun.headers["Location"], content, {"digest": digest})
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def digest(self, name: str) -> str:
        """What the tag means now. Raises requests.HTTPError (404) where there is none."""
        answer = self._ask("HEAD", name)
        return str(answer.headers["Docker-Content-Digest"])

    def delete(self, name: str) -> None:
        """Delete the manifest that `team/web:1` (or `team/web@sha256:...`) means, and every tag of it."""
        repository, reference = _split(name)
        digest = reference if reference.startswith("sha256:") else self.digest(name)
        self._ask("DELETE", f"{repository}@{digest}")

    def _ask(self, method: str, name: str, content: Optional[bytes] = None) -> requests.Response:
        repository, reference = _split(name)
        return self._request(method, f"/v2/{repository}/manifests/{reference}", content)

    def _request(
        self,
        method: str,
        url: str,
        content: Optional[bytes] = None,
        query: Optional[Mapping[str, str]] = None,
    ) -> requests.Response:
        answer = requests.request(
            method,
            urljoin(f"http://{self.host}/", url),
            params=query,
            data=content,
            headers={"Accept": MANIFEST, "Content-Type": MANIFEST if content else ""},
            auth=(self.user, self.password) if self.user else None,
            timeout=10,
        )
        answer.raise_for_status()
        return answer

    def _wait_until_it_answers(self) -> None:
        try:
            wait_until(self._answers, "docker-registry answers", 15.0)
        except AssertionError as error:
            log = (self.workspace.path / "registry.log").read_text()
            raise RuntimeError(f"docker-registry did not start:\n{log}") from error

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{self.host}/v2/", timeout=5).status_code in {200, 401}
        return False

    def __enter__(self) -> Registry:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.remove()


def _split(name: str) -> tuple[str, str]:
    """Repository, and the tag or digest."""
    repository, _, reference = name.partition("@") if "@" in name else name.rpartition(":")
    return repository, reference
