"""A small client of the registry protocol (OCI distribution specification): what digest has a tag now?

Plain HTTP is used for registries on loopback only, as Docker does.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Optional
from urllib.parse import urlsplit

import requests

from hullmark.engine.boundary import innermost
from hullmark.engine.credentials import Credential
from hullmark.errors import ImageUnavailable
from hullmark.model.reference import DEFAULT_REGISTRY, Reference

TIMEOUT_S = (3.05, 10)
_HUB = "registry-1.docker.io"
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_CHALLENGE = re.compile(r'([a-z]+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Unreachable(Exception):
    """The registry did not answer, or not as one should; the text says why, of "it"."""


def digest_of(reference: Reference, credential: Optional[Credential]) -> str:
    """The digest of the tag's manifest or index. Raises Unreachable, or ImageUnavailable for a "no"."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{base_url(reference.registry)}/v2/{reference.repository}/manifests/{reference.tag}"
        try:
            answer = _ask(session, url, reference, credential)
        except requests.RequestException as error:
            raise Unreachable(f"it does not answer: {innermost(error)}") from error
    if answer.status_code in (401, 403):
        raise ImageUnavailable(f"it refuses access to {reference.repository}")
    if answer.status_code == 404:
        raise ImageUnavailable(f"it has no {reference.repository}:{reference.tag}")
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != 200 or not _DIGEST.fullmatch(digest):
        raise Unreachable(f"it answers with status {answer.status_code}")
    return digest


def base_url(registry: str) -> str:
    host = _HUB if registry == DEFAULT_REGISTRY else registry
    return f"{'http' if _on_loopback(host) else 'https'}://{host}"


def _ask(
    session: requests.Session, url: str, reference: Reference, credential: Optional[Credential]
) -> requests.Response:
    headers = {"Accept": _ACCEPT}
    answer = session.head(url, headers=headers, timeout=TIMEOUT_S, allow_redirects=True)
    if answer.status_code != 401:
        return answer
    kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
    if kind.lower() == "basic" and credential is not None:
        login = (credential.username, credential.password)
        return session.head(url, headers=headers, auth=login, timeout=TIMEOUT_S)
    if kind.lower() == "bearer":
        token = _token(session, dict(_CHALLENGE.findall(rest)), reference, credential)
        if token:
            headers["Authorization"] = f"Bearer {token}"
            return session.head(url, headers=headers, timeout=TIMEOUT_S)
    return answer


def _token(
    session: requests.Session,
    challenge: dict[str, str],
    reference: Reference,
    credential: Optional[Credential],
) -> str:
    """A token of the registry's own authorisation service, empty where it gives none."""
    realm = challenge.get("realm", "")
    parts = urlsplit(realm)
    if parts.scheme != "https" and not _on_loopback(parts.netloc):
        return ""  # a password never goes out unencrypted
    answer = session.get(
        realm,
        params={
            "service": challenge.get("service", ""),
            "scope": f"repository:{reference.repository}:pull",
        },
        auth=(credential.username, credential.password) if credential else None,
        timeout=TIMEOUT_S,
    )
    try:
        data = answer.json() if answer.status_code == 200 else {}
    except ValueError:
        return ""
    return str(data.get("token") or data.get("access_token") or "")


def _on_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
