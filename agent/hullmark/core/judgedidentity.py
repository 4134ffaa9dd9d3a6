"""What policy says of what a container is: its image, the user it runs as, its labels and annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Optional

from hullmark.core.judgement import Case, cited, fits
from hullmark.errors import InvalidInput
from hullmark.model import names
from hullmark.model.policy import ANY, CDE
from hullmark.model.reference import Reference, parse

ID_MAX = 2**31 - 2
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_NUMERIC = re.compile(r"[-+0-9_\s]*([xXoObB][0-9a-fA-F_\s]*)?")
"""What some reader of numbers might take for one, and is not written as `_NUMBER` has it. There is one way only in which a text can
match: another expression would be at a long one for hours."""
_ROOTS = ("root", "toor")
STEERING = (
    "io.podman.*",
    "io.containers.*",
    "io.container.*",
    "io.kubernetes.*",
    "io.katacontainers.*",
    "io.crun.*",
    "run.oci.*",
    "org.systemd.*",
    "org.criu.*",
    "org.opencontainers.runc.*",
    "module.wasm.*",
)
"""Annotations by which engines and runtimes are told what to do: systemd's properties, hooks, confinement."""
STEERING_LABELS = ("io.podman.*", "io.containers.*", "PODMAN_SYSTEMD_UNIT")


def judge_made_of(case: Case, image: str) -> None:
    """The image of a container that is to be made. By a digest Podman finds an image of any other name too."""
    judge_image(case, image)
    reference, sight, allowed = (
        _reference(image),
        case.sights.image,
        case.rules["images.from"].items,
    )
    if case.started or allowed is None or not sight or not reference or not reference.digest:
        return
    known = [found for found in map(_any_reference, sight.names) if found]
    if not any(_is_from(found, pattern) for found in known for pattern in allowed):
        told = ", ".join(sight.names) or "no name"
        case.no("images.from", f"{cited(image)} is on this host as {cited(told)}, from elsewhere")


def _any_reference(image: str) -> Optional[Reference]:
    try:
        return parse(image)
    except InvalidInput:
        return None


def judge_image(case: Case, image: str) -> None:
    """The reference that an engine is given."""
    reference = _reference(image)
    if reference is None and case.started:
        _judge_unnamed(case, image)
        return
    if reference is None:
        case.never(f"{cited(image)} is not an image by its full name")
        return
    allowed = case.rules["images.from"].items
    if allowed is not None and not any(_is_from(reference, pattern) for pattern in allowed):
        case.no("images.from", f"{cited(image)} is from a place that is not allowed here")
    if case.yes("images.digest") and not reference.digest:
        case.no("images.digest", f"{cited(image)} is not named by its digest")


def _judge_unnamed(case: Case, image: str) -> None:
    """A container that Hullmark didn't make may be of an image by its id, or by a short name."""
    try:
        judge_image(case, parse(image).pinned(""))
    except InvalidInput:
        for key in ("images.from", "images.digest"):
            if case.rules[key].value not in (ANY, False):
                case.no(key, f"{cited(image)} is an image without a name")


def _reference(image: str) -> Optional[Reference]:
    """None for what an engine might read otherwise: an id, a name without its registry."""
    try:
        reference = parse(image)
    except InvalidInput:
        return None
    whole = image in (reference.pinned(""), f"{reference.name}:{reference.tag}@{reference.digest}")
    return reference if whole else None


def _is_from(reference: Reference, pattern: str) -> bool:
    """`registry.example.com`, `docker.io/library`, `*.example.com/shop`: the first parts of a name, each a pattern; with
    `@sha256:...` one image alone."""
    place, _, digest = pattern.partition("@")
    if digest and digest != reference.digest:
        return False
    wanted = [part for part in place.lower().split("/") if part]
    have = reference.name.lower().split("/")
    pairs = zip(have, wanted)
    return len(wanted) <= len(have) and all(fnmatchcase(one, two) for one, two in pairs)


# -- users


def judge_user(case: Case, user: str, groups: Sequence[str]) -> None:
    """`user` is as a request has it, empty where the image decides."""
    if "keep-groups" in groups:
        case.never("group_add keep-groups: the groups of the engine itself")
    strict = not (case.yes("user.root") and case.yes("user.names") and case.yes("user.root_group"))
    if not strict:
        return
    shown = cited(user)
    if not user:
        if case.sights.image is None:
            case.never("the image was not looked at, so the user that it says is not known")
            return
        user = case.sights.image.user
        shown = f"{cited(user)}, as its image says" if user else "0, as its image says no other"
    if user.count(":") > 1:
        case.never(f"the user {shown} is of a form that is not known here")
    name, colon, group = user.partition(":")
    _judge_uid(case, name or "0", shown)
    _judge_gid(case, group if colon else "", shown, names_user=not _NUMBER.fullmatch(name or "0"))
    for each in groups:
        if not case.yes("user.root_group") and _gid(each) == 0:
            case.no("user.root_group", f"group_add {cited(each)} is group 0")


def _judge_uid(case: Case, name: str, shown: str) -> None:
    number = _id(name)
    if number is not None:
        if number == 0 and not case.yes("user.root"):
            case.no("user.root", f"would run as user {shown}")
    elif _NUMERIC.fullmatch(name):
        case.never(f"the user {shown} is a number of a form that is not known here")
    elif name in _ROOTS and not case.yes("user.root"):
        case.no("user.root", f"would run as user {shown}")
    elif not case.yes("user.names"):
        case.no(
            "user.names",
            f"would run as user {shown}, and what number a name has the image itself says",
        )


def _judge_gid(case: Case, group: str, shown: str, *, names_user: bool) -> None:
    if case.yes("user.root_group"):
        return
    if group:
        number = _gid(group)
        if number == 0:
            case.no("user.root_group", f"would run as {shown}, which is group 0")
        elif number is None and not case.yes("user.names"):
            case.no(
                "user.root_group",
                f"would run as {shown}, and what number a group has the image itself says",
            )
    elif not (names_user and case.yes("user.names")):
        case.no(
            "user.root_group", f"would run as user {shown}, without a group: then it can be group 0"
        )


def _id(text: str) -> Optional[int]:
    """None for what is no number as we write them."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= ID_MAX else None


def _gid(text: str) -> Optional[int]:
    """0 for all that is or might be group 0."""
    if text in _ROOTS or (_id(text) is None and _NUMERIC.fullmatch(text)):
        return 0
    return _id(text)


# -- labels


def judge_labels(case: Case, labels: Mapping[str, str]) -> None:
    """Of a container. Ours have to say what the judgement is made for."""
    sights = case.sights
    ours = (
        (names.LABEL_APP, sights.app),
        (names.LABEL_SERVICE, sights.service),
        (names.LABEL_SCOPE, sights.scope),
    )
    for label, value in ours:
        if labels.get(label, "") != value:
            case.never(f"the label {label} is {cited(labels.get(label, ''))!r}, not {value!r}")
    for label in labels:
        if "=" in label:
            case.never(f"the label {cited(label)} holds `=`, by which Podman would part it")
        if any(fnmatchcase(label, pattern) for pattern in STEERING_LABELS):
            case.never(f"the label {cited(label)} would steer the engine")


def steers(annotation: str) -> bool:
    return fits(STEERING, annotation.lower())


def judge_annotations(case: Case, annotations: Mapping[str, str]) -> None:
    rule = case.rules["annotations"]
    for name in annotations:
        if "=" in name:
            case.never(f"the annotation {cited(name)} holds `=`, by which Podman would part it")
        if steers(name) and not fits(rule.items or (), name):
            case.no(
                "annotations",
                f"{cited(name)} steers the engine or its runtime, and is allowed by name only",
            )
        elif not fits(rule.items, name):
            case.no("annotations", f"{cited(name)} is not allowed here")


def judge_scope(case: Case) -> None:
    """A service without a scope is out of that of cardholder data."""
    here, wanted = case.policy.scope, case.sights.scope
    if (wanted == CDE) != (here == CDE):
        told = f"this host is {here}" if here else "this host has no scope"
        case.out_of_scope(f"the service is {wanted or 'not cde'}, and {told}")
