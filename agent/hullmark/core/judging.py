"""The judgement of the gate: may this very request go to the engine, by this host's policy?

Pure: a request as the engine will get it, what had to be looked up for it (`needed` says what), and the policy give the
violations, none where it may pass. A field of a request that is not known is a violation (`requestform`); of what inspect says of
a container the known fields are judged, and others left alone, so that a newer engine's containers can be started again.

    needs = needed(body)            # what to look up
    judge_creation(body, Sights(...), policy)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hullmark.core import (
    inspectedform,
    judgedidentity,
    judgedlimits,
    judgedmounts,
    judgednetworks,
    judgedpaths,
    judgedrights,
    judgedvolumes,
    requestform,
)
from hullmark.core.judgement import Case, cited
from hullmark.model.policy import Needs, Policy, Sights, Violation, VolumeSight

GRACE_MAX_S = 24 * 60 * 60
"""Docker waits for ever where it is below 0; and whoever stops a violator waits as long as it says."""

Body = Mapping[str, Any]
Verdict = tuple[Violation, ...]


def needed(body: Body) -> Needs:
    """For a creation. Volumes that these sights show can name paths in turn: `needed_by_volume`."""
    host = body.get("HostConfig") or {}
    mounts = list(judgedmounts.asked(host))
    return Needs(
        paths=_once([*(m.source for m in mounts if m.is_path), *judgedrights.paths_of(host)]),
        volumes=_once(m.source for m in mounts if m.source and not m.is_path),
        networks=_once(judgednetworks.named(body)),
        image=str(body.get("Image") or ""),
        containers=_once(judgedrights.joined_by(host)),
    )


def needed_to_start(inspected: Body) -> Needs:
    return needed(inspectedform.body_of(inspected))


def needed_by_volume(volume: VolumeSight) -> tuple[str, ...]:
    """Paths of the host that a volume's options name, of one that exists or (`volume_of`) is about to be made."""
    return judgedvolumes.paths_of(volume)


def joined_by(inspected: Body) -> Mapping[str, str]:
    """By namespace: the container whose own it has."""
    host = inspected.get("HostConfig") or {}
    modes = {name: str(host.get(key) or "") for key, name in judgedrights.JOINING.items()}
    joins = {name: mode.partition(":") for name, mode in modes.items()}
    return {name: other for name, (kind, _, other) in joins.items() if kind == "container"}


def hosts_own(inspected: Body) -> frozenset[str]:
    """Which of the host's namespaces a container was given; a form that nobody knows could be each."""
    host = inspected.get("HostConfig") or {}
    modes = {name: str(host.get(key) or "") for key, name in judgedrights.JOINING.items()}
    return frozenset(name for name, mode in modes.items() if mode == "host" or mode[:3] == "ns:")


def volume_of(body: Body) -> VolumeSight:
    """What a request would make."""
    return VolumeSight(str(body.get("Driver") or "local"), dict(body.get("DriverOpts") or {}))


def judge_creation(body: Body, sights: Sights, policy: Policy) -> Verdict:
    case = Case(sights, policy)
    if requestform.known(case, body, requestform.CREATION):
        restart = (body.get("HostConfig") or {}).get("RestartPolicy") or {}
        if restart.get("Name") != "no":
            case.never("a restart policy of the engine's own, which would restart it unjudged")
        if not 0 <= body.get("StopTimeout", 0) <= GRACE_MAX_S:
            case.never("a grace at the stop that has no end, or is longer than a day")
        _judge_container(case, body)
    return case.found


def judge_start(inspected: Body, sights: Sights, policy: Policy) -> Verdict:
    """By what inspect says now. `sights` for `needed_to_start`."""
    case = Case(sights, policy, started=True)
    inspectedform.judge_only_inspected(case, inspected)
    _judge_container(case, inspectedform.body_of(inspected))
    return case.found


def judge_volume(body: Body, sights: Sights, policy: Policy) -> Verdict:
    case = Case(sights, policy)
    if requestform.known(case, body, requestform.VOLUME):
        made, shown = volume_of(body), f"volume {cited(body.get('Name'))}"
        if not judgedmounts.VOLUME_NAME.fullmatch(str(body.get("Name") or "")):
            case.never(f"{shown} has a name that is none")
        if made.driver == "local":
            judgedvolumes.check_options(case, made.options, shown)
        judgedvolumes.judge_settings(case, made, shown)
    return case.found


def judge_network(body: Body, sights: Sights, policy: Policy) -> Verdict:
    case = Case(sights, policy)
    if requestform.known(case, body, requestform.NETWORK):
        judgednetworks.judge_made(case, body)
    return case.found


def judge_connect(network: str, body: Body, sights: Sights, policy: Policy) -> Verdict:
    """A container that joins one more network; that has to be among the sights."""
    case = Case(sights, policy)
    if requestform.known(case, body, requestform.CONNECT):
        judgednetworks.judge_network_named(case, network)
    return case.found


def judge_exec(body: Body, inspected: Body, sights: Sights, policy: Policy) -> Verdict:
    """A command in a running container. `inspected` is that container; who is in it may not become more than it is."""
    case = Case(sights, policy)
    if not requestform.known(case, body, requestform.EXEC):
        return case.found
    _judge_process(case, body)
    if not case.yes("exec.allowed"):
        case.no("exec.allowed", "running commands in containers is not allowed here")
    if (body.get("Tty") or body.get("AttachStdin")) and not case.yes("exec.interactive"):
        case.no("exec.interactive", "a terminal, or input, is not allowed here")
    if body.get("Privileged") and not case.yes("privileged"):
        case.no("privileged", "not allowed here")
    user = body.get("User") or inspectedform.body_of(inspected).get("User") or ""
    judgedidentity.judge_user(case, str(user), ())
    return case.found


def judge_update(body: Body, sights: Sights, policy: Policy) -> Verdict:
    """Only the engine's restart policy is ever changed."""
    case = Case(sights, policy)
    requestform.known(case, body, requestform.UPDATE)
    return case.found


def judge_pull(image: str, sights: Sights, policy: Policy) -> Verdict:
    """`image` is the reference in full, by digest where there is one."""
    case = Case(sights, policy)
    judgedidentity.judge_image(case, image)
    return case.found


def _judge_container(case: Case, body: Body) -> None:
    host = body.get("HostConfig") or {}
    _judge_process(case, body)
    judgedidentity.judge_scope(case)
    judgedidentity.judge_made_of(case, str(body.get("Image") or ""))
    judgedidentity.judge_labels(case, body.get("Labels") or {})
    judgedidentity.judge_annotations(case, host.get("Annotations") or {})
    judgedidentity.judge_user(case, str(body.get("User") or ""), host.get("GroupAdd") or ())
    judgedrights.judge(case, host)
    judgedmounts.judge(case, host)
    judgednetworks.judge_joined(case, body)
    judgedlimits.judge(case, host)
    if case.yes("read_only_root") and not host.get("ReadonlyRootfs"):
        case.no(
            "read_only_root", "the container's own files have to be read-only (read_only: true)"
        )


def _judge_process(case: Case, body: Body) -> None:
    """Of a container or a command: where it begins, and its variables."""
    folder = str(body.get("WorkingDir") or "")
    if judgedpaths.is_view(f"/{folder}"):
        case.never(f"the working directory {cited(folder)} {judgedpaths.IS_VIEW}")
    for variable in body.get("Env") or ():
        if "=" not in variable:
            case.never(f"the variable {cited(variable)} without a value: Podman would give its own")


def _once(found: Any) -> tuple[str, ...]:
    return tuple(sorted(set(found)))
