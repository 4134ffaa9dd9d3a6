"""Homes: which slots have local data, and on which host it is.

A slot with local data is placed where its data is, or nowhere. What may move when a host is lost follows from the
same question, because a service says so itself only if it knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from hullmark.model.app import ENTRUSTED, DeployMode, HostLoss, MountKind, Service
from hullmark.model.records import Home, HomesRecord

NO_HOMES: Mapping[str, Home] = {}


def key_of(service: str, slot: int) -> str:
    return f"{service}.{slot}"


def service_of(key: str) -> str:
    return key.rpartition(".")[0]


def volumes_of(service: Service) -> tuple[str, ...]:
    """Keys of the named volumes that it uses."""
    mounts = service.container.mounts
    return tuple(sorted({m.source for m in mounts if m.kind is MountKind.VOLUME and m.source}))


def has_local_data(service: Service) -> bool:
    """A bind counts also where it is only read: what is there is that host's."""
    binds = any(mount.kind is MountKind.BIND for mount in service.container.mounts)
    return binds or bool(volumes_of(service))


def loss_policy(service: Service) -> HostLoss:
    """What becomes of its instances on a lost host."""
    said = service.deploy.on_host_lost
    if said is not None:
        return said
    return HostLoss.KEEP if has_local_data(service) else HostLoss.REPLACE


def may_have_home(service: Service) -> bool:
    """Slots of what runs on every host are only names."""
    return service.deploy.mode is DeployMode.REPLICATED and has_local_data(service)


def keeps_home(service: Service) -> bool:
    return may_have_home(service) and service.deploy.on_host_lost not in ENTRUSTED


class Homes:
    """The homes of all apps while a plan is made: a working copy that belongs to one call of `schedule.plan`."""

    def __init__(self, records: Mapping[str, HomesRecord]) -> None:
        self._before = records
        self._changed: dict[str, dict[str, Home]] = {}

    def of(self, app: str) -> Mapping[str, Home]:
        changed = self._changed.get(app)
        if changed is not None:
            return changed
        record = self._before.get(app)
        return NO_HOMES if record is None else record.slots

    def find(self, app: str, service: str, slot: int) -> Optional[Home]:
        slots = self.of(app)
        return slots.get(key_of(service, slot)) if slots else None

    def settle(self, app: str, name: str, service: Service, slot: int, host_id: str) -> None:
        """The slot's instance is on this host. An operator's word is kept until it is elsewhere."""
        home = self.find(app, name, slot)
        if home is not None and home.leave == host_id:
            return
        # One that may go elsewhere now has its newest data where it went. Should it be kept again, then there.
        follows = home is not None and not home.leave and may_have_home(service)
        if follows or keeps_home(service):
            kept = () if home is None or home.host_id not in ("", host_id) else home.volumes
            volumes = tuple(sorted({*kept, *volumes_of(service)}))
            change = None if home is None else home.change
            self._put(app, key_of(name, slot), Home(host_id, volumes, "", change))
        elif home is not None and home.leave:
            self._put(app, key_of(name, slot), None)

    def take_back(self, app: str, service: str, slot: int) -> None:
        """An operator's word that does not hold any more."""
        self._put(app, key_of(service, slot), None)

    def forget(self, app: str) -> None:
        """The app's volumes were removed."""
        if self.of(app):
            self._changed[app] = {}

    def _put(self, app: str, key: str, home: Optional[Home]) -> None:
        slots = self.of(app)
        if slots.get(key) == home:
            return
        changed = {**slots}
        if home is None:
            changed.pop(key, None)
        else:
            changed[key] = home
        self._changed[app] = changed

    def changed(self) -> dict[str, HomesRecord]:
        return {app: HomesRecord(slots) for app, slots in sorted(self._changed.items())}

    def where(self, app: str, name: str, service: Service, slot: int) -> Optional[frozenset[str]]:
        """The hosts where the slot may be because of data; None: any.

        One without a home shares a volume with other services where it uses the same, and finds their data
        only where they are.
        """
        home = self.find(app, name, slot)
        if home is not None and home.leave:
            return frozenset({home.host_id}) if home.host_id else None
        if not keeps_home(service):
            return None
        if home is not None:
            return frozenset({home.host_id})
        found: Optional[frozenset[str]] = None
        for volume in volumes_of(service):
            hosts = frozenset(
                other.leave or other.host_id
                for key, other in self.of(app).items()
                if service_of(key) != name and volume in other.volumes
            )
            if hosts:
                found = hosts if found is None else found & hosts
        return found
