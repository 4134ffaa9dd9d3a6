"""The store's own history, read from etcd past everything of Hullmark's: who led, and what apps were asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Optional

import requests

from hullmark.model.names import APPS, LEADER_KEY, ROOT
from tests.chaos.record import Reign, Spec
from tests.integration.etcd import ROOT_PASSWORD, EtcdCluster

ANSWER_S = 3.0


class StoreEye:
    """Asks any member that answers, over etcd's JSON gateway, as etcd's root. Every read is one that a quorum agrees on."""

    def __init__(self, etcd: EtcdCluster) -> None:
        self._etcd = etcd
        self._token = ""
        self._next = 1
        self.reigns: list[Reign] = []
        self.specs: list[Spec] = []

    def leader(self) -> Reign:
        """The leader record as it is now; names nobody where there is none, or the store doesn't answer."""
        try:
            answer = self._ask("kv/range", {"key": _coded(LEADER_KEY)})
        except requests.RequestException:
            return Reign(0, (0, 0), "")
        found = answer.get("kvs", [])
        return _reign(found[0]) if found else Reign(0, (0, 0), "")

    def app(self, name: str) -> Optional[Spec]:
        """An app as it is now. Raises requests.RequestException where nobody answers."""
        found = self._ask("kv/range", {"key": _coded(APPS + name)}).get("kvs", [])
        return _spec(found[0]) if found else None

    def values(self, prefix: str) -> list[dict[str, Any]]:
        """All that stands under keys that begin so. Raises requests.RequestException where nobody answers."""
        wanted = {
            "key": _coded(prefix),
            "range_end": _coded(prefix[:-1] + chr(ord(prefix[-1]) + 1)),
        }
        return [_value(record) for record in self._ask("kv/range", wanted).get("kvs", [])]

    def revision(self) -> int:
        """The store's newest. Raises requests.RequestException where nobody answers."""
        answer = self._ask("kv/range", {"key": _coded(LEADER_KEY)})
        return int(answer["header"]["revision"])

    def catch_up(self, timeout_s: float = 20.0) -> None:
        """Add what changed since the last call. Raises requests.RequestException where nobody told all of that, and AssertionError
        where the store no longer has it."""
        target = self.revision()
        if self._next > target:
            return
        wanted = {
            "key": _coded(ROOT),
            "range_end": _coded(ROOT[:-1] + chr(ord(ROOT[-1]) + 1)),
            "start_revision": str(self._next),
        }
        for event in self._events({"create_request": wanted}, timeout_s):
            revision = int(event["kv"]["mod_revision"])
            if revision > target:
                break
            self._take(event)
            self._next = revision + 1
        if self._next <= target:
            raise requests.ConnectionError("the stream ended before all was told")

    def _events(self, request: dict[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
        with self._post("watch", request, timeout_s, stream=True) as answer:
            for line in answer.iter_lines():
                result = json.loads(line)["result"]
                compacted = result.get("compact_revision")
                assert not compacted, f"the store's history up to {compacted} is gone"
                yield from result.get("events", [])

    def _take(self, event: dict[str, Any]) -> None:
        record = event["kv"]
        key = base64.b64decode(record["key"]).decode()
        if key == LEADER_KEY and event.get("type") != "DELETE":
            self.reigns.append(_reign(record))
        elif key.startswith(APPS) and event.get("type") != "DELETE":
            self.specs.append(_spec(record))

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._post(path, body, ANSWER_S) as answer:
            found: dict[str, Any] = answer.json()
            return found

    def _post(
        self, path: str, body: dict[str, Any], timeout_s: float, *, stream: bool = False
    ) -> requests.Response:
        last: requests.RequestException = requests.ConnectionError("no member")
        for member in self._etcd.members:
            try:
                return self._post_to(member.endpoint, path, body, timeout_s, stream)
            except requests.RequestException as error:
                last = error
        raise last

    def _post_to(
        self, endpoint: str, path: str, body: dict[str, Any], timeout_s: float, stream: bool
    ) -> requests.Response:
        for attempt in range(2):
            if not self._token:
                login = {"name": "root", "password": ROOT_PASSWORD}
                answer = self._send(f"{endpoint}/v3/auth/authenticate", login, ANSWER_S, False)
                answer.raise_for_status()
                self._token = answer.json()["token"]
            answer = self._send(f"{endpoint}/v3/{path}", body, timeout_s, stream)
            if answer.ok:
                return answer
            self._token = ""  # given by another life of etcd's
            if attempt:
                answer.raise_for_status()
        raise AssertionError("not reached")

    def _send(
        self, url: str, body: dict[str, Any], timeout_s: float, stream: bool
    ) -> requests.Response:
        return requests.post(
            url,
            json=body,
            headers={"Authorization": self._token} if self._token else {},
            cert=(str(self._etcd.cert), str(self._etcd.key)),
            verify=str(self._etcd.ca),
            timeout=(1.0, timeout_s),
            stream=stream,
        )


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _value(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(record["value"]))
    return found


def _reign(record: dict[str, Any]) -> Reign:
    value = _value(record)
    epoch = int(value["epoch"]["incarnation"]), int(value["epoch"]["term"])
    leader = f"{value['master']}@{value['mark']}" if value["master"] else ""
    return Reign(int(record["mod_revision"]), epoch, leader)


def _spec(record: dict[str, Any]) -> Spec:
    """Fields that hold their default are not in the record."""
    value = _value(record)
    services = {} if value.get("removing") else value["app"]["services"]
    return Spec(
        int(record["mod_revision"]),
        value["app"]["name"],
        int(value["generation"]),
        value["change"]["request_id"],
        {name: int(one.get("deploy", {}).get("replicas", 1)) for name, one in services.items()},
        value["generations"],
    )
