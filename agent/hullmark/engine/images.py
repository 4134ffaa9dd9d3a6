"""Images: present, pulled, resolved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import docker.errors
import requests
import urllib3.exceptions
from docker.api.client import APIClient
from docker.auth import encode_header

from hullmark.engine import credentials, registry
from hullmark.engine.boundary import innermost, words
from hullmark.engine.credentials import Credential
from hullmark.engine.protocol import Resolved
from hullmark.model.reference import Reference, parse
from hullmark.errors import ImageUnavailable

STALL_S = 300
"""A pull that says nothing for this long is given up. A slow one goes on as long as it takes."""

__all__ = ["parse", "present", "pull", "resolve"]


def present(client: APIClient, image: str) -> bool:
    try:
        client.inspect_image(image)
    except docker.errors.NotFound:
        return False
    return True


def pull(
    client: APIClient,
    reference: Reference,
    digest: str,
    platform: str,
    credential: Optional[Credential],
    now: float,
) -> None:
    """Raises ImageUnavailable with the registry, the credential used and its age."""
    login = {"username": credential.username, "password": credential.password} if credential else {}
    if reference.local:
        raise ImageUnavailable(
            f"image {reference.pinned(digest)} is not on this host, and localhost/ names are never pulled",
            remedy="load it: docker load, or docker import",
        )
    wanted = reference.pinned(digest)
    try:
        answer = client.post(
            f"{client.base_url}/v{client.api_version}/images/create",
            params={
                "fromImage": reference.name,
                "tag": digest or reference.digest or reference.tag,
                **({"platform": platform} if platform else {}),
            },
            headers={"X-Registry-Auth": _text(encode_header(login))},
            stream=True,
            timeout=(60, STALL_S),
        )
        client._raise_for_status(answer)
        _follow(answer)
    except (docker.errors.APIError, _PullFailed) as error:
        why = words(error) if isinstance(error, docker.errors.APIError) else str(error)
        raise _unavailable(reference, wanted, why, credential, now) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _unavailable(reference, wanted, innermost(error), credential, now) from error


def resolve(client: APIClient, image: str, pull_policy: str, folder: Path, now: float) -> Resolved:
    """See `Engine.resolve`."""
    reference = parse(image)
    if reference.digest:
        return Resolved(image, reference.digest, note="pinned in the file")
    if pull_policy == "never" or reference.local:
        return _local(client, reference, image, "on the host only")
    credential = credentials.find(folder, reference.registry)
    try:
        digest = registry.digest_of(reference, credential)
    except (registry.Unreachable, ImageUnavailable) as error:
        try:
            return _local(client, reference, image, f"{error}; using the host's own copy")
        except ImageUnavailable:
            raise _unavailable(
                reference, reference.pinned(""), str(error), credential, now
            ) from error
    return Resolved(image, digest, note=f"asked {reference.registry}")


class _PullFailed(Exception):
    """The engine reported an error in the course of a pull."""


def _follow(answer: Any) -> None:
    """Read the progress to its end. An error comes as one of its lines, with status 200."""
    for line in answer.iter_lines():
        if not line:
            continue
        try:
            progress = json.loads(line)
        except ValueError:
            continue
        error = progress.get("error") or (progress.get("errorDetail") or {}).get("message")
        if error:
            raise _PullFailed(str(error))


def _local(client: APIClient, reference: Reference, image: str, note: str) -> Resolved:
    try:
        found = client.inspect_image(reference.pinned(""))
    except docker.errors.NotFound as error:
        raise ImageUnavailable(f"image {image} is not on the host") from error
    for known in found.get("RepoDigests") or ():
        name, _, digest = known.partition("@")
        if parse(name).name == reference.name and not reference.local:
            return Resolved(image, digest, found["Id"], note)
    return Resolved(image, "", found["Id"], note)


def _unavailable(
    reference: Reference, wanted: str, why: str, credential: Optional[Credential], now: float
) -> ImageUnavailable:
    used = credential.describe(now) if credential else "no credential"
    return ImageUnavailable(
        f"{wanted} from registry {reference.registry} ({used}): {why}",
        remedy="check the name and tag, and /etc/hullmark/registries.d for this registry",
    )


def _text(header: Any) -> str:
    return header.decode() if isinstance(header, bytes) else str(header)
