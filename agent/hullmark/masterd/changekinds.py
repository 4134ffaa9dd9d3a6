"""Which requests are changes that change control has a word in, and what kind each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from hullmark.model.changecontrol import ChangeKind

KINDS: Mapping[tuple[str, str], ChangeKind] = {
    ("PUT", "/v1/apps/{app}"): ChangeKind.APPLY,
    ("POST", "/v1/apps/{app}/scale"): ChangeKind.SCALE,
    ("DELETE", "/v1/apps/{app}"): ChangeKind.REMOVE,
    ("POST", "/v1/apps/{app}/move"): ChangeKind.MOVE,
    ("POST", "/v1/apps/{app}/rollout"): ChangeKind.ROLLOUT,
    ("POST", "/v1/availability"): ChangeKind.AVAILABILITY,
    ("POST", "/v1/hosts/{host}/labels"): ChangeKind.LABELS,
    ("POST", "/v1/maintenance"): ChangeKind.MAINTENANCE,
    ("DELETE", "/v1/maintenance"): ChangeKind.MAINTENANCE,
    ("DELETE", "/v1/hosts/{host}"): ChangeKind.HOST_REMOVE,
    ("POST", "/v1/invites"): ChangeKind.INVITE,
    ("POST", "/v1/tokens"): ChangeKind.TOKEN,
    ("DELETE", "/v1/tokens/{token}"): ChangeKind.TOKEN,
    ("POST", "/v1/master-invites"): ChangeKind.MASTER,
    ("POST", "/v1/master/forget"): ChangeKind.MASTER,
    ("PUT", "/v1/change-control"): ChangeKind.CHANGE_CONTROL,
    ("DELETE", "/v1/change-control"): ChangeKind.CHANGE_CONTROL,
    ("PUT", "/v1/mark"): ChangeKind.MARK,
    ("DELETE", "/v1/mark"): ChangeKind.MARK,
    ("POST", "/v1/mark/override"): ChangeKind.MARK,
    ("DELETE", "/v1/mark/override"): ChangeKind.MARK,
}

FREE: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/plan"): "a question",
    ("POST", "/v1/evidence/sign"): "nothing changes: a signature under what was recorded",
    ("POST", "/v1/sessions"): "a login, of a role that somebody has already",
    ("POST", "/v1/master/step-down"): "nothing that was asked for changes: the pair's own business",
    ("POST", "/v1/master/kill"): "a drill of the same",
    ("POST", "/v1/master/mark"): "it changes nothing",
    ("POST", "/v1/changes/{change}/approve"): "the second person's own word",
    ("POST", "/v1/changes/{change}/refuse"): "the second person's own word",
    ("POST", "/v1/changes/{change}/collect"): "of what was approved",
    ("POST", "/v1/incidents/{number}/acknowledge"): "nothing changes but that somebody knows of it",
    ("POST", "/v1/incidents/{number}/notes"): "what people say of what happened",
    ("POST", "/v1/break-glass"): "the way round, which is told to everybody",
    ("POST", "/v1/break-glass/{glass}/close"): "its end",
    ("POST", "/v1/break-glass/{glass}/sign-off"): "the second person's own word",
    (
        "POST",
        "/v1/apps/{app}/exec",
    ): "judged by the host's policy; no approval could carry a terminal",
}
"""People's other requests that are no GET, and why change control leaves them alone."""

SECRET = frozenset(
    {("POST", "/v1/invites"), ("POST", "/v1/tokens"), ("POST", "/v1/master-invites")}
)
"""Their answers hold a secret: who asked collects it once it is approved, so that the second person never sees it. They also keep
no answer by their request id."""


def kind_of(method: str, path: str, body: Any) -> Optional[ChangeKind]:
    """None for what is left alone. `path` is the route's."""
    kind = KINDS.get((method, path))
    if kind is ChangeKind.REMOVE and body.volumes:
        return ChangeKind.VOLUMES
    return kind


def is_for_admins(kind: ChangeKind, body: Any) -> bool:
    """Only an administrator gives up data, or goes past the mark."""
    asks = ("accept_data_loss", "override_mark")
    return kind is ChangeKind.VOLUMES or any(getattr(body, name, False) for name in asks)


def subject_of(kind: ChangeKind, names: Mapping[str, str], body: Any) -> str:
    """`shop`, `host web1, web2`, `token ci`."""
    if "app" in names:
        return names["app"]
    if kind is ChangeKind.CHANGE_CONTROL:
        return "change control"
    if kind is ChangeKind.MARK:
        return "the mark"
    hosts = getattr(body, "hosts", None) or [names.get("host") or getattr(body, "host", "")]
    if any(hosts):
        return f"host {', '.join(hosts)}"[:200]
    if kind is ChangeKind.TOKEN:
        return f"token {names.get('token') or body.name}"[:200]
    return f"master {getattr(body, 'name', '') or getattr(body, 'master', '')}"[:200]
