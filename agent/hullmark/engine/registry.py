"""A small client of the registry protocol (OCI distribution specification): what digest has a tag now, and what does its
configuration say?

Plain HTTP is used for registries on loopback only, as Docker does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Optional
from urllib.parse import SplitResult, urlsplit

import requests

from hullmark.engine.boundary import innermost
from hullmark.engine.credentials import Credential
from hullmark.errors import ImageUnavailable
from hullmark.model import jsontext
from hullmark.model.loopback import is_loopback
from hullmark.model.reference import DEFAULT_REGISTRY, Reference

TIMEOUT_S = (3.05, 10)
DOCUMENT_MAX_BYTES = 4 << 20
"""Of a manifest or a configuration. The specification asks registries to take manifests of 4 MiB."""
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
            answer = _ask(session, "HEAD", url, reference, credential)
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


def config_of(
    reference: Reference, digest: str, platform: str, credential: Optional[Credential]
) -> Mapping[str, Any]:
    """The image's configuration: of this platform (`linux/arm64`), or of the first one where none is said. Raises Unreachable for whatever is
    not as it should be: nothing but what is shown of the image depends on it."""
    base = f"{base_url(reference.registry)}/v2/{reference.repository}"
    with requests.Session() as session:
        session.trust_env = False

        def read(url: str) -> Mapping[str, Any]:
            try:
                answer = _ask(session, "GET", url, reference, credential)
                return _document(answer)
            except requests.RequestException as error:
                raise Unreachable(f"it does not answer: {innermost(error)}") from error

        found = read(f"{base}/manifests/{digest}")
        listed = found.get("manifests")
        if isinstance(listed, list):
            found = read(f"{base}/manifests/{_one_of(listed, platform)}")
        config = found.get("config")
        named = str(config.get("digest")) if isinstance(config, dict) else ""
        if not _DIGEST.fullmatch(named):
            raise Unreachable("its manifest names no configuration")
        return read(f"{base}/blobs/{named}")


def _one_of(manifests: Sequence[Any], platform: str) -> str:
    """The digest of the manifest for the platform. What tells of the others, attestations, is for the platform `unknown`."""
    system, _, rest = platform.partition("/")
    for each in manifests:
        told = each.get("platform") if isinstance(each, dict) else None
        if not isinstance(told, dict) or told.get("os") != (system or "linux"):
            continue
        digest = str(each.get("digest"))
        if _DIGEST.fullmatch(digest) and rest.partition("/")[0] in ("", told.get("architecture")):
            return digest
    raise Unreachable(f"it has nothing for {platform or 'linux'}")


def _document(answer: requests.Response) -> Mapping[str, Any]:
    if answer.status_code != 200:
        raise Unreachable(f"it answers with status {answer.status_code}")
    data = b""
    for chunk in answer.iter_content(1 << 16):
        data += chunk
        if len(data) > DOCUMENT_MAX_BYTES:
            raise Unreachable("what it answers is too large")
    try:
        found = jsontext.loads(data)
    except ValueError as error:
        raise Unreachable("what it answers can't be read") from error
    if not isinstance(found, dict):
        raise Unreachable("what it answers can't be read")
    return found


def base_url(registry: str) -> str:
    host = _HUB if registry == DEFAULT_REGISTRY else registry
    return f"{'http' if is_loopback(_name(host)) else 'https'}://{host}"


def _ask(
    session: requests.Session,
    method: str,
    url: str,
    reference: Reference,
    credential: Optional[Credential],
) -> requests.Response:
    headers = {"Accept": _ACCEPT}
    call = session.head if method == "HEAD" else partial(session.get, stream=True)
    answer = call(url, headers=headers, timeout=TIMEOUT_S, allow_redirects=True)
    if answer.status_code != 401:
        return answer
    kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
    if kind.lower() == "basic" and credential is not None:
        login = (credential.username, credential.password)
        return call(url, headers=headers, auth=login, timeout=TIMEOUT_S)
    if kind.lower() == "bearer":
        token = _token(session, dict(_CHALLENGE.findall(rest)), reference, credential)
        if token:
            headers["Authorization"] = f"Bearer {token}"
            return call(url, headers=headers, timeout=TIMEOUT_S)
    return answer


def _token(
    session: requests.Session,
    challenge: dict[str, str],
    reference: Reference,
    credential: Optional[Credential],
) -> str:
    """A token of the registry's own authorisation service, empty where it gives none."""
    realm = challenge.get("realm", "")
    parts = _parts(realm)
    # A password never goes out unencrypted.
    if parts is None or (parts.scheme != "https" and not is_loopback(parts.hostname or "")):
        return ""
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


def _name(registry: str) -> str:
    """Without its port, and without the brackets of an address."""
    parts = _parts(f"//{registry}")
    return (parts.hostname or "") if parts is not None else ""


def _parts(url: str) -> Optional[SplitResult]:
    """None for what is no URL, as with half of the brackets around an address; nor is one with a backslash, where who looks at it
    and who calls it may find different hosts."""
    try:
        return None if "\\" in url else urlsplit(url)
    except ValueError:
        return None
