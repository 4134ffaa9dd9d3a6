"""The cluster as the leader runs it: the one door between the master's ports and its logic.

    cluster = Cluster(store, "m1", "10.0.0.1:7441")
    await cluster.start()          # leads, or raises
    ...                            # the ports call what is below
    await cluster.stop()           # what is pending is written, leadership is given back

Everything here runs on one asyncio loop and never blocks it: the store is called from threads. Plain
methods answer from memory. A change returns once it is durable in the store, and raises:

    InvalidInput      the request is wrong, problems by field
    NotFound          no such app, host or invite
    Conflict          the request id was used for something else, or the app isn't as expected
    Forbidden         an invite that is used, expired or for another host
    ImageUnavailable  an image can't be resolved; nothing was changed
    StaleEpoch        this master does not lead (any more); `why_not` says why
    StoreUnavailable  the store does not answer; ask again with the same request id
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable
from typing import Callable, Optional

from hullmark.model.api import (
    AppDetail,
    AppList,
    ApplyAnswer,
    ApplyRequest,
    ClusterStatus,
    EventList,
    HostList,
    InstanceList,
    InviteRequest,
    OrphanList,
    PlanAnswer,
    RemoveRequest,
    ScaleRequest,
)
from hullmark.model.app import App
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.host import HostRecord
from hullmark.model.observed import Report
from hullmark.model.orders import Orders
from hullmark.model.protocol import ReportAnswer, ResolveAnswer
from hullmark.model.records import Change, InviteRecord, LeaderRecord, SessionRecord
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import Store

Resolver = Callable[[str, str, str], Awaitable[ResolveAnswer]]
"""(image, platform, pull policy's value) to what the image is now. No digest and no error: it stays unpinned,
and `note` says why."""

MakeHost = Callable[[InviteRecord, Optional[HostRecord]], HostRecord]
"""(the invite, the host of that name if there is one) to the record to keep. What it raises ends the
enrolment with nothing written. A host that exists keeps its host id."""


class Cluster:
    def __init__(
        self,
        store: Store,
        master: str,
        address: str,
        *,
        store_name: str = "sqlite",
        lost_after_s: float = 10.0,
        silent_after_s: float = 8.0,
        events_kept: int = 10_000,
        events_kept_s: float = 30 * 86400.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None: ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    @property
    def leader_record(self) -> LeaderRecord: ...
    @property
    def is_leader(self) -> bool: ...
    @property
    def why_not(self) -> str: ...

    def snapshot(self) -> Snapshot: ...
    @property
    def version(self) -> int: ...
    async def wait_changed(self, after: int, hold_s: float) -> int: ...

    async def apply(self, request: ApplyRequest, change: Change, resolve: Resolver) -> ApplyAnswer: ...
    async def scale(self, app: str, request: ScaleRequest, change: Change) -> ApplyAnswer: ...
    async def remove(self, app: str, request: RemoveRequest, change: Change) -> ApplyAnswer: ...
    def plan(self, app: App) -> PlanAnswer: ...
    async def invite(
        self, request: InviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord: ...
    async def enroll(
        self, secret_sha256: str, host: str, make_host: MakeHost, *, key_sha256: str = ""
    ) -> HostRecord: ...
    async def open_session(
        self, token_sha256: str, record: SessionRecord, change: Change
    ) -> None: ...
    def session(self, token_sha256: str) -> Optional[SessionRecord]: ...

    def app_list(self) -> AppList: ...
    def app_detail(self, name: str) -> AppDetail: ...
    def instances(self, app: str = "") -> InstanceList: ...
    def hosts(self) -> HostList: ...
    def orphans(self) -> OrphanList: ...
    def status(self) -> ClusterStatus: ...
    def events(self, after: int = 0, limit: int = 100) -> EventList: ...

    def host(self, host_id: str) -> Optional[HostRecord]: ...
    def heard(self, host_id: str, run: str) -> None: ...
    def lacks_state(self, host_id: str, run: str) -> bool: ...
    async def wait_orders(
        self, host_id: str, epoch: Epoch, revision: int, hold_s: float
    ) -> bool: ...
    def orders(self, host_id: str) -> Orders: ...
    async def merge(self, report: Report) -> ReportAnswer: ...
    def record(self, event: Event) -> None: ...
