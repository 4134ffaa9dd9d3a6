"""What is said to the person who leaves: the pages beside the projects, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hullmark.core.ejection import Ejection, Kept
from hullmark.core.ejectionproject import COMPLETED, Project, short_forms
from hullmark.model.directory import ServiceName

DOCKER_SOCKETS = ("unix:///run/docker.sock", "unix:///var/run/docker.sock")
COMPOSE = (
    "compose() { if docker compose version >/dev/null 2>&1; "
    'then docker compose "$@"; else docker-compose "$@"; fi; }'
)
"""Debian 12's package is `docker-compose` and has that command only; Docker's own is a plugin, which has the other only."""


@dataclass(frozen=True)
class Place:
    """Where all of it is: `folder` has the projects, `state` the agent's own files."""

    host: str
    engine: str
    socket: str
    folder: str
    state: str


def notes(ejection: Ejection, unset: Sequence[Kept], place: Place) -> list[str]:
    """`unset` are the containers whose engine keeps another restart policy than it was asked for."""
    return [
        f"on a master, take the host out: hullmark host remove {place.host} --force",
        *_elsewhere(ejection),
        *_boot(ejection, unset, place),
        *_proxied(ejection),
        *(f"{one.name}: {remark}" for one in ejection.kept for remark in one.remarks),
        *(f"{one.name} is left as it is: {one.why}" for one in ejection.leftovers),
    ]


def _elsewhere(ejection: Ejection) -> Iterable[str]:
    if ejection.once:
        yield (
            f"{_listed(map(str, ejection.once))}: may run twice from now on, as a master that runs starts "
            "another elsewhere"
        )
    if ejection.movable:
        yield (
            f"{_listed(map(str, ejection.movable))}: once it misses this host, a master that runs starts "
            "another of each elsewhere, unless its service says on_host_lost: keep"
        )


def _boot(ejection: Ejection, unset: Sequence[Kept], place: Place) -> Iterable[str]:
    if unset:
        yield (
            f"{_listed(one.name for one in unset)}: nothing restarts them until you hand them over to "
            "Compose, as this engine can't change the restart policy of a container that exists (Podman can "
            "from 5.1 on)"
        )
    if place.engine == "podman" and ejection.kept:
        yield (
            "Podman starts containers after a boot only by a unit of its own: "
            "systemctl enable podman-restart.service"
        )


def _proxied(ejection: Ejection) -> Iterable[str]:
    """By service, so that two containers of one don't say it twice."""
    here = {ServiceName(one.app, name) for one in ejection.projects for name in one.instances}
    for name, published in ejection.proxied.items():
        ports = ", ".join(f"'{one}'" for one in short_forms(published))
        if name in here:
            yield (
                f"{name}: the host's proxy answers its published ports, not the engine, and its project has none of these: "
                "nobody answers once hullmark-proxy is gone. After that uncomment them in its compose.yaml, for one of its "
                f"containers: ports: [{ports}]"
            )
        else:
            yield (
                f"{name}: the host's proxy answers its published ports and leads them to other hosts, as no instance of it is "
                f"here: nobody answers them here once hullmark-proxy is gone: ports: [{ports}]"
            )


def unpublished(found: Project, service: str) -> str:
    """Comment lines at the end of a service in compose.yaml, whose last key is `ports`."""
    ports = found.proxied.get(service, ())
    if not ports:
        return ""
    others = [
        name for name in found.proxied if name != service and set(found.proxied[name]) & set(ports)
    ]
    either = f" Only one of this and {', '.join(others)} can have them." if others else ""
    lines = [
        f"# The host's proxy answers these ports.{either}",
        "# Once hullmark-proxy is gone, take the '# ' away from the lines below:",
        *(["# ports:"] if "ports" not in found.document["services"][service] else []),
        *(f'# - "{port}"' for port in ports),
    ]
    return "".join(f"  {line}\n" for line in lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def overview(ejection: Ejection, said: Sequence[str], place: Place) -> str:
    """README.md of the whole folder."""
    lines = [f"- [{one.app}]({one.app}/README.md)" for one in ejection.projects]
    return "\n".join(
        [
            f"# What ran on {place.host}",
            "",
            f"The host {place.host} has left its Hullmark cluster. Its containers run on as they were. For each app there",
            "is a Compose project here; its page says what its engine restarts, and how to hand over to Compose:",
            "",
            *(lines or ["- none: no app had an instance on this host"]),
            "",
            "Files here hold the values of variables: keep them to root.",
            "",
            "## To know",
            "",
            *(f"- {one}" for one in said),
            "",
            "## To come back",
            "",
            f"On a master: `hullmark invite {place.host}`. Here: `hullmark agent enroll --token-file FILE`. Containers that were",
            "not handed over are adopted as they run. Those of Compose have to go first, as each app's page says: their",
            "volumes and networks stay, and are used again.",
            "",
        ]
    )


def page(found: Project, ejection: Ejection, unset: Sequence[Kept], place: Place) -> str:
    """README.md of one app; `unset` as for `notes`."""
    policies = {one.name: str(one.restart) for one in ejection.kept}
    policies.update({one.name: "none before it is handed over" for one in unset})
    rows = [
        f"| {name} | {service} | {policies.get(name, 'not made yet')} |"
        for name, service in sorted(found.services.items())
    ]
    return "\n".join(
        [
            f"# {found.app}",
            "",
            f"What ran of the app {found.app} on the host {place.host}, as a Compose project.",
            "",
            "| Container | Service in compose.yaml | Restart policy |",
            "|---|---|---|",
            *rows,
            "",
            "A host doesn't know which service waits for which: take `depends_on` from your own file.",
            "",
            "## Hand over to Compose",
            "",
            "The labels of a container can't be changed, so Compose doesn't take these for its own: they are stopped and",
            "removed, and made anew with the same image, settings, networks, volumes, and ports that the engine has. A volume",
            "without a name is empty afterwards. Before that, `up` refuses because of their names, and changes nothing.",
            "",
            "```sh",
            *_hand_over(found, place),
            "```",
            "",
            *_about_commands(place),
            *_about_completed(found),
            *_about_proxied(found, place),
            "## Go back to Hullmark",
            "",
            "After handing over, remove what Compose made; networks and volumes stay:",
            "",
            "```sh",
            *_setting(found, place),
            f"{_compose(place)} --profile {COMPLETED} down",
            "```",
            "",
            f"Then enroll the host: on a master `hullmark invite {place.host}`, here `hullmark agent enroll --token-file FILE`.",
            "",
        ]
    )


def _hand_over(found: Project, place: Place) -> list[str]:
    going = [name for name in found.existing if name not in found.completed]
    stop = [f"{place.engine} {verb} {' '.join(going)} &&" for verb in ("stop", "rm") if going]
    compose = _compose(place)
    return [*_setting(found, place), f"{compose} config --quiet &&", *stop, f"{compose} up -d"]


def _setting(found: Project, place: Place) -> list[str]:
    told = place.engine == "podman" or place.socket not in DOCKER_SOCKETS
    return [
        *([COMPOSE] if place.engine != "podman" else []),
        f"cd {shlex.quote(f'{place.folder}/{found.app}')} &&",
        *([f"export DOCKER_HOST={shlex.quote(place.socket)} &&"] if told else []),
    ]


def _compose(place: Place) -> str:
    return "docker-compose" if place.engine == "podman" else "compose"


def _about_commands(place: Place) -> list[str]:
    if place.engine == "podman":
        return [
            "`docker-compose` is a package of its own, also where there is no Docker, and talks to Podman's socket.",
            "`podman-compose` is another program; it was not tried with this file.",
            "",
        ]
    return [
        "The first line takes `docker compose`, and `docker-compose` where there is only that, as in Debian 12. Neither is",
        "there? Install Debian's package `docker-compose`, or Docker's own `docker-compose-plugin`.",
        "",
    ]


def _about_completed(found: Project) -> list[str]:
    if not found.completed:
        return []
    return [
        f"What has completed is not run again: {_listed(found.completed)}. Its service is in the profile",
        f"`{COMPLETED}`. Remove its container before you run it by that.",
        "",
    ]


def _about_proxied(found: Project, place: Place) -> list[str]:
    if not found.proxied:
        return []
    return [
        "## Ports that the host's proxy answers",
        "",
        "These published ports are not the engine's: hullmark-proxy answers them. It doesn't know the containers that Compose",
        "makes, and once it is gone nobody answers, until the project publishes them.",
        "",
        "| Service in compose.yaml | Ports |",
        "|---|---|",
        *(f"| {name} | {', '.join(ports)} |" for name, ports in sorted(found.proxied.items())),
        "",
        "Once all apps of this host are handed over:",
        "",
        "1. Remove the package hullmark-proxy, or stop it for good: as long as it runs it holds the ports.",
        "2. In compose.yaml take the `# ` away from the last lines of the service. Of two with the same port one can have it.",
        "3. Have Compose make its container anew:",
        "",
        "```sh",
        *_setting(found, place),
        f"{_compose(place)} up -d",
        "```",
        "",
    ]
