"""What each member of etcd says of itself, which certificates are about to expire, and whether a quorum answers."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional, Union

from cryptography import x509
from cryptography.hazmat.backends import default_backend

from hullmark.errors import HullmarkError, Refused
from hullmark.model.redundancy import StoreCondition, StoreMember
from hullmark.store import troubles
from hullmark.store.gateway import Gateway, NoAnswer, Rejected

ANSWER_S = 1.5
QUOTA = "etcd_server_quota_backend_bytes"
QUOTA_FRESH_S = 600.0
"""It changes with a restart of the member only, and comes with all of its figures."""

DAY_S = 86400.0


class Members:
    """Remembers since when each does not answer, and the names of those that do not answer now."""

    def __init__(self, gateway: Gateway, revision: Callable[[], int]) -> None:
        self._gateway = gateway
        self._revision = revision
        self._lock = threading.Lock()
        self._heard: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._quotas: dict[str, tuple[float, Optional[float]]] = {}
        """When each was last asked for, and what it is."""

    def condition(self) -> StoreCondition:
        endpoints = self._gateway.access.endpoints
        with ThreadPoolExecutor(len(endpoints) + 1) as pool:
            reading = pool.submit(self._read)
            looks = list(pool.map(self._look, endpoints))
            failure = reading.result()
        listed = next((look[1] for look in looks if not isinstance(look, str) and look[1]), [])
        with self._lock:
            members = tuple(
                self._member(endpoint, look, listed) for endpoint, look in zip(endpoints, looks)
            )
            quotas = {endpoint: known[1] for endpoint, known in self._quotas.items()}
        answered = not any(isinstance(look, str) for look in looks)
        known = {member.name for member in members}
        unnamed = [str(one.get("name") or one["ID"]) for one in listed]
        return troubles.condition(
            troubles.Seen(
                members,
                failure=failure.message if failure else "",
                remedy=failure.remedy if failure else "",
                forbidden=isinstance(failure, Refused),
                unguarded=self._gateway.unguarded,
                unnamed=tuple(name for name in unnamed if name not in known) if answered else (),
                expiries=tuple(self._expiries()),
                quotas={endpoint: int(quota) for endpoint, quota in quotas.items() if quota},
            )
        )

    def _read(self) -> Optional[HullmarkError]:
        try:
            self._revision()
        except HullmarkError as error:
            return error
        return None

    def _look(self, endpoint: str) -> Union[tuple[Any, list[Any]], str]:
        """A member's status, and what it knows of all members; or why it doesn't tell."""
        try:
            status = self._gateway.ask(endpoint, "/v3/maintenance/status", {}, ANSWER_S)
            listed = self._gateway.ask(endpoint, "/v3/cluster/member/list", {}, ANSWER_S)
        except (NoAnswer, Rejected, HullmarkError) as error:
            return str(error)
        now = time.monotonic()
        if now - self._quotas.get(endpoint, (-QUOTA_FRESH_S, None))[0] >= QUOTA_FRESH_S:
            self._quotas[endpoint] = now, self._gateway.figure(endpoint, QUOTA, ANSWER_S)
        return status, list(listed.get("members", ()))

    def _member(
        self, endpoint: str, look: Union[tuple[Any, list[Any]], str], listed: list[Any]
    ) -> StoreMember:
        now = time.monotonic()
        heard = self._heard.setdefault(endpoint, now)
        if isinstance(look, str):
            for one in listed:
                if endpoint in one.get("clientURLs", ()):
                    self._names[endpoint] = str(one.get("name") or one["ID"])
            name = self._names.get(endpoint) or endpoint.rpartition("//")[2]
            return StoreMember(name, endpoint, answers=False, silent_s=now - heard, trouble=look)
        self._heard[endpoint] = now
        status = look[0]
        own = status["header"]["member_id"]
        self._names[endpoint] = next(
            (str(one["name"]) for one in look[1] if one["ID"] == own and one.get("name")), own
        )
        return StoreMember(
            self._names[endpoint],
            endpoint,
            answers=True,
            leads=status.get("leader") == own,
            version=str(status.get("version", "")),
            size_bytes=int(status.get("dbSize", 0)),
            used_bytes=int(status.get("dbSizeInUse", 0)),
            trouble=_trouble(status, own),
        )

    def _expiries(self) -> list[troubles.Expiry]:
        access = self._gateway.access
        found = []
        for what, path in (("etcd's authority", access.ca), ("the certificate", access.cert)):
            if path:
                days = _file_days(Path(path))
                if days is not None:
                    found.append(troubles.Expiry(f"{what} ({path})", days))
        for endpoint in access.endpoints:
            shown = self._gateway.shown(endpoint)
            if shown:
                certificate = x509.load_der_x509_certificate(shown, default_backend())
                found.append(troubles.Expiry(f"the certificate of {endpoint}", _days(certificate)))
        return found


def _trouble(status: Mapping[str, Any], own: str) -> str:
    """Every member tells of every member's alarms: its own only. They read `memberID:N alarm:NOSPACE`."""
    said = [str(one).strip() for one in status.get("errors", ())]
    mine = [one for one in said if "memberID:" not in one or f"memberID:{own} " in f"{one} "]
    if status.get("isLearner"):
        mine.append("it only learns, and has no vote yet")
    return "; ".join(mine)


def _file_days(path: Path) -> Optional[float]:
    """None where it can't be read: connecting says why."""
    try:
        return _days(x509.load_pem_x509_certificate(path.read_bytes(), default_backend()))
    except (OSError, ValueError):
        return None


def _days(certificate: x509.Certificate) -> float:
    last = getattr(certificate, "not_valid_after_utc", None)
    if last is None:
        last = certificate.not_valid_after.replace(tzinfo=dt.timezone.utc)
    return float((last - dt.datetime.now(tz=dt.timezone.utc)).total_seconds()) / DAY_S
