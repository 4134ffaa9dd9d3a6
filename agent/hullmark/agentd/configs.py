"""The agent's copies of shipped configs: one file for each content, mode and owner.

A container mounts the copy read-only. Copies that no accepted bundle names are removed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from hullmark.errors import Refused
from hullmark.model.app import Bundle, FileRef
from hullmark.pki.files import write_file


class Configs:
    """May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    def write(self, bundle: Bundle) -> Mapping[str, str]:
        """The path of each config's copy, by target; written where it isn't there yet. Raises Refused
        for content that doesn't have its hash, OSError for a full disk."""
        if not bundle.container.configs:
            return {}
        # Instances of one service are made at the same time, from the same files.
        with self._writing:
            self._folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            return {
                reference.target: self._write(bundle, reference)
                for reference in bundle.container.configs
            }

    def paths(self, bundle: Bundle) -> Mapping[str, str]:
        """Where the copies are once they are written, by target."""
        return {ref.target: str(self._path(bundle, ref)) for ref in bundle.container.configs}

    def sweep(self, bundles: Iterable[Bundle]) -> None:
        """Remove the copies that none of these bundles uses."""
        needed = {
            self._path(bundle, reference).name
            for bundle in bundles
            for reference in bundle.container.configs
        }
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in needed:
                    with contextlib.suppress(OSError):
                        path.unlink()

    def _write(self, bundle: Bundle, reference: FileRef) -> str:
        numbers = (reference.uid or "0", reference.gid or "0")
        if reference.mode & ~0o777 or not all(map(_is_id, numbers)):
            # They are part of its path, and a set-uid file on this host would be anybody's.
            raise Refused(
                f"config {reference.source} has the mode {reference.mode:o} and the owner {':'.join(numbers)}: only "
                "permission bits and numbers are allowed"
            )
        path = self._path(bundle, reference)
        config = bundle.configs[reference.source]
        content = base64.b64decode(config.content_b64)
        if hashlib.sha256(content).hexdigest() != config.sha256:
            raise Refused(f"config {reference.source} does not have the hash that it was sent with")
        if not path.exists() or path.read_bytes() != content:
            write_file(path, content, reference.mode)
            path.chmod(reference.mode)
            os.chown(path, int(reference.uid or 0), int(reference.gid or 0))
        return str(path)

    def _path(self, bundle: Bundle, reference: FileRef) -> Path:
        owner = f"{reference.uid or 0}-{reference.gid or 0}"
        sha256 = bundle.configs[reference.source].sha256
        return self._folder / f"{sha256}-{reference.mode:o}-{owner}"


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
