"""A small image from this machine's static busybox: an archive for engines, blobs for a registry.

Made by ourselves (in the format of `docker save`) rather than imported: Podman's import knows no HEALTHCHECK,
and the image is the same, to its id, wherever the same busybox is.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\napp:x:1000:1000::/:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\napp:x:1000:\n"
# What runs unless a container is given a command: a web server that answers with the container's
# name, its environment under /cgi-bin/env, and that ends at once when told to.
SERVE = """\
#!/bin/sh
trap 'exit 0' TERM INT
hostname > /tmp/index.html
httpd -p "${PORT:-8080}" -h /www
while :; do sleep 3600 & wait $!; done
"""
DEFAULTS: Mapping[str, Any] = {
    "Cmd": ["/bin/serve"],
    "Env": ["PATH=/bin"],
    "WorkingDir": "/",
}


@dataclass(frozen=True)
class Image:
    """A configuration and layers (uncompressed tars), as the bytes that their digests are of."""

    configuration: bytes
    layers: tuple[bytes, ...]


def build(config: Mapping[str, Any], files: Mapping[str, bytes]) -> Image:
    """`config` is merged over `DEFAULTS`, with the keys of the engine's own image configuration
    (Env, User, ExposedPorts, Healthcheck, Labels, ...); `files` are added by absolute path, mode 0755.
    """
    layers = (_system_layer(), *([_layer(files)] if files else []))
    description = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {**DEFAULTS, **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(each)}" for each in layers]},
    }
    return Image(json.dumps(description, sort_keys=True).encode(), layers)


def archive(ref: str, image: Image) -> bytes:
    """What an engine loads under the name `ref`."""
    names = [f"{digest(each)}/layer.tar" for each in image.layers]
    described = f"{digest(image.configuration)}.json"
    manifest = [{"Config": described, "RepoTags": [ref], "Layers": names}]
    members = dict(zip(names, image.layers))
    members[described] = image.configuration
    members["manifest.json"] = json.dumps(manifest).encode()
    return _tar({name: (content, 0o644) for name, content in members.items()}, {})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.lru_cache(maxsize=1)
def _system_layer() -> bytes:
    found = shutil.which("busybox")
    if found is None:
        raise FileNotFoundError("busybox: run `make setup-demo`")
    busybox = Path(found).read_bytes()
    applets = subprocess.run([found, "--list"], check=True, capture_output=True, text=True).stdout
    files = {
        "bin/busybox": (busybox, 0o755),
        "bin/serve": (SERVE.encode(), 0o755),
        "etc/group": (GROUP.encode(), 0o644),
        "etc/passwd": (PASSWD.encode(), 0o644),
        "www/cgi-bin/env": (
            b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n",
            0o755,
        ),
    }
    links = {f"bin/{name}": "busybox" for name in applets.split() if name != "busybox"}
    links["www/index.html"] = "/tmp/index.html"
    return _tar(files, links)


def _layer(files: Mapping[str, bytes]) -> bytes:
    return _tar({path.lstrip("/"): (content, 0o755) for path, content in files.items()}, {})


def _tar(files: Mapping[str, tuple[bytes, int]], links: Mapping[str, str]) -> bytes:
    """Without times or owners, so that the same content has the same digest."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as tar:
        if links:
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return output.getvalue()
