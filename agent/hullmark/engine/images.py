"""Images: present, pulled, resolved."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.engine import logstream, registry
from hullmark.engine.boundary import EngineSilent
from hullmark.engine.connection import Connection
from hullmark.engine.credentials import Credential
from hullmark.engine.protocol import Deed, DeedKind, Gate, Progress, Resolved
from hullmark.errors import EngineUnavailable, ImageUnavailable, NotFound, PolicyRefused, Refused
from hullmark.model.app import ContainerSpec
from hullmark.model.reference import Reference, parse

STALL_S = 300.0
"""A pull that says nothing for this long is given up. A slow one goes on as long as it takes."""

EXPOSED_MOST = 100
"""Ports of one image. More is no image that somebody made in earnest."""
_PORT = re.compile(r"([1-9][0-9]{0,4})/(tcp|udp|sctp)")


@dataclass(frozen=True)
class Wanted:
    """What a container needs: `reference` as in the file, by `digest` where the leader resolved one."""

    reference: Reference
    digest: str
    platform: str = ""

    @classmethod
    def of(cls, spec: ContainerSpec) -> Wanted:
        return cls(parse(spec.image), spec.digest, spec.platform)

    @property
    def pinned(self) -> str:
        return self.reference.pinned(self.digest)


class PullFailed(Exception):
    """The engine reported an error in the course of a pull."""


def found(connection: Connection, image: str) -> Optional[Mapping[str, Any]]:
    """The engine's description of an image, None where it has none."""
    try:
        return dict(connection.get(f"/images/{image}/json"))
    except NotFound:
        return None


def pull(
    connection: Connection,
    gate: Gate,
    wanted: Wanted,
    credential: Optional[Credential],
    stall_s: float,
    progress: Optional[Progress],
) -> None:
    """To be called within `named`, which says of what the errors are."""
    reference = wanted.reference
    parameters = {
        "fromImage": reference.name,
        "tag": wanted.digest or reference.digest or reference.tag,
        **({"platform": wanted.platform} if wanted.platform else {}),
    }
    headers = {"X-Registry-Auth": _login(credential)}
    with gate.passing(Deed(DeedKind.IMAGE_PULL, wanted.pinned, parameters)) as passage:
        begin = connection.stream(
            "POST", "/images/create", parameters, headers=headers, silence_s=stall_s
        )
        try:
            with begin as stream:
                follow(stream.chunks(), progress or _unseen)
        except EngineSilent as error:
            raise PullFailed(f"nothing came for {stall_s:g} s") from error
        image = found(connection, wanted.pinned)
        if image is None:
            raise PullFailed("the engine pulled it, and does not have it")
        passage.image_digest = wanted.digest or reference.digest
        passage.fields["image_id"] = str(image.get("Id", ""))


def follow(chunks: Iterable[bytes], progress: Progress) -> None:
    """Read a pull's progress to its end. An error comes as one of its lines, with status 200."""
    layers: dict[str, tuple[int, int]] = {}
    for line in logstream.objects(chunks):
        error = line.get("error") or (line.get("errorDetail") or {}).get("message")
        if error:
            raise PullFailed(str(error))
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            layers[str(line.get("id"))] = int(detail.get("current") or 0), int(detail["total"])
            progress(sum(one[0] for one in layers.values()), sum(one[1] for one in layers.values()))


def resolve(
    connection: Connection,
    reference: Reference,
    image: str,
    platform: str,
    credential: Optional[Credential],
    now: float,
) -> Resolved:
    """By the registry; by the host's own copy where that one gives no answer."""
    with named(reference, reference.pinned(""), credential, now):
        try:
            digest = registry.digest_of(reference, credential)
        except registry.Unreachable as error:
            try:
                return local(
                    connection,
                    reference,
                    image,
                    f"{reference.registry}: {error}; using the host's own copy",
                )
            except ImageUnavailable:
                raise PullFailed(str(error)) from error
    exposed = exposed_by(connection, reference, digest, platform, credential)
    return Resolved(image, digest, note=f"asked {reference.registry}", exposed=exposed)


def exposed_by(
    connection: Connection,
    reference: Reference,
    digest: str,
    platform: str,
    credential: Optional[Credential],
) -> tuple[str, ...]:
    """What the image with this digest exposes, by the host's own copy, else by the registry; nothing where neither says."""
    with contextlib.suppress(EngineUnavailable):
        description = found(connection, reference.pinned(digest))
        if description is not None:
            return exposed_ports(description.get("Config"))
    if reference.local:
        return ()
    try:
        image = registry.config_of(reference, digest, platform, credential)
    except registry.Unreachable:
        return ()
    return exposed_ports(image.get("config"))


def exposed_ports(config: Any) -> tuple[str, ...]:
    """Of an image's configuration, as engines and registries have it: `{"ExposedPorts": {"80/tcp": {}}}`. What is no port is left out: whoever
    made the image could write anything there."""
    listed = config.get("ExposedPorts") if isinstance(config, dict) else None
    if not isinstance(listed, dict):
        return ()
    named = (text if "/" in text else f"{text}/tcp" for text in map(str, listed))
    good = {text for text in named if (match := _PORT.fullmatch(text)) and int(match[1]) <= 65535}
    return tuple(sorted(good, key=lambda text: (int(text.partition("/")[0]), text))[:EXPOSED_MOST])


def local(connection: Connection, reference: Reference, image: str, note: str) -> Resolved:
    """What the host's own copy is."""
    description = found(connection, reference.pinned(""))
    if description is None:
        raise ImageUnavailable(
            f"image {image} is not on this host",
            remedy="load it: docker load, or docker import",
        )
    for known in description.get("RepoDigests") or ():
        name, _, digest = known.partition("@")
        if parse(name).name == reference.name and not reference.local:
            break
    else:
        digest = ""
    exposed = exposed_ports(description.get("Config"))
    return Resolved(image, digest, description["Id"], note, exposed)


@contextlib.contextmanager
def named(
    reference: Reference, wanted: str, credential: Optional[Credential], now: float
) -> Iterator[None]:
    """Errors become ImageUnavailable with the registry, the credential used and its age."""
    if reference.local:
        raise ImageUnavailable(
            f"image {wanted} is not on this host, and {reference.registry}/ names are never pulled",
            remedy="load it: docker load, or docker import",
        )
    try:
        yield
    except PolicyRefused:
        raise
    except (Refused, PullFailed) as error:
        used = credential.describe(now) if credential else "no credential"
        raise ImageUnavailable(
            f"{wanted} from registry {reference.registry} ({used}): {error}",
            remedy="check the name and tag, and /etc/hullmark/registries.d for this registry",
        ) from error


def _login(credential: Optional[Credential]) -> str:
    """The X-Registry-Auth header: base64 for URLs of a JSON object."""
    known = {"username": credential.username, "password": credential.password} if credential else {}
    return base64.urlsafe_b64encode(json.dumps(known).encode()).decode()


def _unseen(done_bytes: int, all_bytes: int) -> None:
    """Nobody looks at the progress."""
