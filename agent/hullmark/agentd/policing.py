"""The host's policy, asked of everything that is about to change its engine: the gate's judge.

What is judged is the very request that is about to be sent, or what the engine says of a container now. While the policy can't be
read, only what takes something away passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable

from hullmark.agentd.asked import current
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.sights import Subject, Viewpoint
from hullmark.agentd.starts import Starts
from hullmark.core import judging
from hullmark.engine.protocol import Deed, DeedKind
from hullmark.errors import PolicyRefused
from hullmark.model import names
from hullmark.model.policy import Needs, Policy, Violation

SHOWN = 5
"""Violations of one request that its refusal names; the rest are counted."""
REMEDY = (
    "change the app, or have the rule changed by whoever keeps this host's policy; to try a Compose "
    "file on this host: hullmark policy test FILE"
)
EXEC_REMEDY = (
    "whoever keeps this host's policy may allow it for a service (exec.allowed under apps); as whom it would run: "
    "--user UID:GID"
)

TAKES_AWAY = frozenset(
    [
        DeedKind.CONTAINER_STOP,
        DeedKind.CONTAINER_REMOVE,
        DeedKind.NETWORK_REMOVE,
        DeedKind.VOLUME_REMOVE,
    ]
)

Body = Mapping[str, Any]
Verdict = tuple[Violation, ...]


class Policing:
    """A Judge. May be used from any thread."""

    def __init__(self, view: Viewpoint, folder: PolicyFolder) -> None:
        self.folder = folder
        self._view = view
        self._starts = Starts()
        self._judges: Mapping[DeedKind, Callable[[Deed, Policy], Verdict]] = {
            DeedKind.CONTAINER_CREATE: self._creation,
            DeedKind.CONTAINER_START: lambda deed, policy: self._start(deed.body, policy),
            DeedKind.CONTAINER_UPDATE: self._update,
            DeedKind.CONTAINER_EXEC: self._exec,
            DeedKind.IMAGE_PULL: self._pull,
            DeedKind.NETWORK_CREATE: self._network,
            DeedKind.NETWORK_CONNECT: self._connect,
            DeedKind.VOLUME_CREATE: self._volume,
        }

    def judge(self, deed: Deed) -> None:
        """Raises PolicyRefused; and what the engine says where something can't be looked up, such as NotFound for an image."""
        if deed.kind in TAKES_AWAY:
            return
        # Who restarts a container is no matter of the host's rules, and a host can leave its cluster whatever they say.
        free = deed.kind is DeedKind.CONTAINER_UPDATE
        policies = (Policy(),) if free else self.folder.in_force()
        if deed.kind is DeedKind.CONTAINER_START:
            self._starts.begin(deed.container_id, self._view.flight(deed.body))
        try:
            for policy in policies:
                self._hold(deed, policy)
        except BaseException:
            self.ended(deed)
            raise

    def _hold(self, deed: Deed, policy: Policy) -> None:
        judge = self._judges.get(deed.kind)
        if judge is None:
            raise PolicyRefused(f"nobody here knows how to judge {deed.kind.value}")
        found = judge(deed, policy)
        if found:
            asked_now = deed.kind is DeedKind.CONTAINER_EXEC
            raise PolicyRefused(in_words(found), remedy=EXEC_REMEDY if asked_now else REMEDY)

    def ended(self, deed: Deed) -> None:
        """To be called for each deed that was judged and may be done, when it was."""
        if deed.kind is DeedKind.CONTAINER_START:
            self._starts.end(deed.container_id)

    def of_container(self, inspected: Body) -> Verdict:
        """What the policy says of a container as it runs. Raises PolicyRefused while it can't be read."""
        return self._start(inspected, self.folder.current(), mounted=True)

    # -- containers

    def _creation(self, deed: Deed, policy: Policy) -> Verdict:
        request = deed.request
        if request is None:
            raise PolicyRefused("a container that no instance is named for")
        one = request.instance
        subject = Subject(one.app, one.service, request.bundle.container.scope)
        own = (*request.files.values(), *filter(None, [request.hosts]))
        sights = self._view.look(judging.needed(deed.body), subject, own_files=own)
        return judging.judge_creation(deed.body, sights, policy)

    def _start(self, inspected: Body, policy: Policy, *, mounted: bool = False) -> Verdict:
        needs = replace(judging.needed_to_start(inspected), image=str(inspected.get("Image") or ""))
        sights = self._view.look(
            needs,
            _subject(inspected),
            own_files=(self._view.hosts_file(inspected),),
            removed_image=True,
            mounted=mounted,
        )
        return judging.judge_start(inspected, sights, policy)

    def _update(self, deed: Deed, policy: Policy) -> Verdict:
        return judging.judge_update(deed.body, self._view.look(Needs(), _asker()), policy)

    def _exec(self, deed: Deed, policy: Policy) -> Verdict:
        inspected = self._view.inspected(deed.container_id)
        needs = Needs(image=str(inspected.get("Image") or ""))
        sights = self._view.look(needs, _subject(inspected), removed_image=True)
        return judging.judge_exec(deed.body, inspected, sights, policy)

    # -- images, networks and volumes

    def _pull(self, deed: Deed, policy: Policy) -> Verdict:
        return judging.judge_pull(deed.name, self._view.look(Needs(), _asker()), policy)

    def _network(self, deed: Deed, policy: Policy) -> Verdict:
        sights = self._view.look(Needs(), _owner(deed.body))
        return judging.judge_network(deed.body, sights, policy)

    def _connect(self, deed: Deed, policy: Policy) -> Verdict:
        subject = _subject(self._view.inspected(deed.container_id))
        sights = self._view.look(Needs(networks=(deed.name,)), subject)
        return judging.judge_connect(deed.name, deed.body, sights, policy)

    def _volume(self, deed: Deed, policy: Policy) -> Verdict:
        paths = judging.needed_by_volume(judging.volume_of(deed.body))
        sights = self._view.look(Needs(paths=paths), _owner(deed.body))
        return judging.judge_volume(deed.body, sights, policy)


def in_words(found: Sequence[Violation]) -> str:
    """All on one line."""
    told = [str(one) for one in found[:SHOWN]]
    more = len(found) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _subject(inspected: Body) -> Subject:
    labels = (inspected.get("Config") or {}).get("Labels") or {}
    return Subject(
        str(labels.get(names.LABEL_APP) or ""),
        str(labels.get(names.LABEL_SERVICE) or ""),
        str(labels.get(names.LABEL_SCOPE) or ""),
        str(inspected.get("Id") or ""),
    )


def _owner(body: Body) -> Subject:
    """Of a network or a volume, by the label that it will have: they belong to an app, and to no service."""
    labels = body.get("Labels") or {}
    return Subject(str(labels.get(names.LABEL_APP) or ""))


def _asker() -> Subject:
    return Subject(current().app)
