"""Repositories of packages, served to hosts over HTTP from the tests' side of the bridge."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.integration.namespaces import HOST_ADDRESS


class Repositories:
    """One server for each folder, until `close`."""

    def __init__(self) -> None:
        self._servers: dict[Path, ThreadingHTTPServer] = {}
        self._lock = threading.Lock()

    def serve(self, folder: Path) -> str:
        """The folder's URL. A second call for it gives the same."""
        folder = folder.resolve()
        assert (folder / "apt/dists").is_dir(), f"{folder} has no apt/dists: see make repo"
        with self._lock:
            if folder not in self._servers:
                handler = functools.partial(_Files, directory=str(folder))
                server = ThreadingHTTPServer((HOST_ADDRESS, 0), handler)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                self._servers[folder] = server
            port = self._servers[folder].server_address[1]
        return f"http://{HOST_ADDRESS}:{port}"

    @staticmethod
    def sources(folder: Path, url: str, key: str) -> str:
        """A file for sources.list.d; `key` is the path of the public key on the host."""
        suites = " ".join(sorted(each.name for each in (folder / "apt/dists").iterdir()))
        return (
            f"Types: deb\nURIs: {url}/apt\nSuites: {suites}\nComponents: main\nSigned-By: {key}\n"
        )

    def close(self) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
        self._servers.clear()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """apt says itself what it got."""
