"""Image references, as `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]` (the distribution project's grammar)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hullmark.errors import InvalidInput, Problem

DEFAULT_REGISTRY = "docker.io"
LOCAL_REGISTRY = "localhost"
"""Images of this name are on the host and nowhere else: Podman's convention, kept for Docker too."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_FORM = re.compile(
    r"(?:(?P<registry>(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9-]+)*(?::[0-9]{1,5})?|"
    r"\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)/)?"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Reference:
    """Fully qualified: `nginx` is docker.io, library/nginx, tag latest."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def local(self) -> bool:
        return self.registry == LOCAL_REGISTRY

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def pinned(self, digest: str) -> str:
        """What an engine is asked for: by digest where there is one, else by tag."""
        chosen = digest or self.digest
        return f"{self.name}@{chosen}" if chosen else f"{self.name}:{self.tag}"


def parse(text: str) -> Reference:
    """Raises InvalidInput for what is no reference."""
    found = _FORM.fullmatch(text) if len(text) <= 512 else None
    if found is None:
        raise InvalidInput(
            [
                Problem(
                    f"not an image reference: {text[:80]!r}",
                    allowed="[REGISTRY/]NAME[:TAG][@sha256:...]",
                )
            ]
        )
    registry, repository = found["registry"] or "", found["repository"]
    if registry and not ("." in registry or ":" in registry or registry == LOCAL_REGISTRY):
        # A first component without a dot or port is part of the name, as in `grafana/grafana`.
        registry, repository = "", f"{registry}/{repository}"
        if not re.fullmatch(rf"{_COMPONENT}(?:/{_COMPONENT})*", repository):
            raise InvalidInput([Problem(f"an image name in capitals: {text[:80]!r}")])
    if registry in ("index.docker.io", ""):
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    digest = found["digest"] or ""
    tag = found["tag"] or ("" if digest else "latest")
    return Reference(registry, repository, tag, digest)
