"""A service of an app, checked again: each field by its form, and what it refers to."""

from __future__ import annotations

from collections.abc import Sequence

from hullmark.compose import forms
from hullmark.compose.containers import shared_targets, ulimit_fits
from hullmark.compose.deploy import swap_problem
from hullmark.compose.health import test_fits
from hullmark.compose.networks import address_problem
from hullmark.compose.ports import MAX_PORTS, Taken, mode_problem
from hullmark.compose.probe import Probe
from hullmark.compose.serving import USES_MOST, caller_problem, uses_problem
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    FailureAction,
    FileRef,
    Healthcheck,
    Mount,
    MountKind,
    Network,
    PortSpec,
    Resources,
    Service,
    UpdateConfig,
)
from hullmark.model.loadline import REQUIRED_MOST, Required


def check_service(probe: Probe, at: str, app: App, service: Service) -> None:
    _check_container(probe, f"{at}.container", service.container)
    _check_uses(probe, f"{at}.container", app, service.container)
    _check_deploy(probe, f"{at}.deploy", service.deploy)
    _check_ports(probe, f"{at}.ports", service.ports)
    _check_serving(probe, at, app, service)
    if service.ports and service.container.network_mode == "none":
        probe.wrong(f"{at}.ports", "with network_mode none nothing can be published")
    seen = set()
    for index, dependency in enumerate(service.depends_on):
        field = f"{at}.depends_on[{index}]"
        probe.form(field, dependency.service, forms.SERVICE_NAME)
        if dependency.service in seen:
            probe.wrong(field, "stands there twice")
        elif dependency.required and dependency.service not in app.services:
            probe.wrong(field, f"the app has no service {dependency.service[:80]}")
        seen.add(dependency.service)


def _check_container(probe: Probe, at: str, spec: ContainerSpec) -> None:
    probe.form(f"{at}.image", spec.image, forms.IMAGE)
    probe.form(f"{at}.digest", spec.digest, forms.optional(forms.DIGEST))
    for name, form in forms.TEXTS.items():
        probe.form(f"{at}.{name}", getattr(spec, name), forms.optional(form))
    probe.form(f"{at}.scope", spec.scope, forms.optional(forms.SCOPE))
    for name, form in {**forms.LISTS, **forms.WRITTEN_OUT}.items():
        probe.each(f"{at}.{name}", getattr(spec, name), form)
    probe.each(f"{at}.command", spec.command or (), forms.TEXT)
    probe.each(f"{at}.entrypoint", spec.entrypoint or (), forms.TEXT)
    for name, form in forms.PAIRS.items():
        probe.pairs(f"{at}.{name}", getattr(spec, name), form)
    for name, limit in probe.named(f"{at}.ulimits", spec.ulimits, forms.ULIMIT):
        probe.form(f"{at}.ulimits.{name}", limit.soft, forms.RLIMIT)
        probe.form(f"{at}.ulimits.{name}", limit.hard, forms.RLIMIT)
        if not ulimit_fits(limit):
            probe.wrong(f"{at}.ulimits.{name}", "the soft limit is above the hard one")
    for name, form in forms.NUMBERS.items():
        probe.form(f"{at}.{name}", getattr(spec, name), form)
    _check_resources(probe, f"{at}.limits", spec.limits)
    problem = swap_problem(spec.memory_swap_bytes, spec.limits)
    if problem:
        probe.wrong(f"{at}.memory_swap_bytes", problem)
    probe.form(f"{at}.restart.delay_s", spec.restart.delay_s, forms.DURATION)
    probe.form(f"{at}.restart.window_s", spec.restart.window_s, forms.DURATION)
    probe.form(f"{at}.restart.max_attempts", spec.restart.max_attempts, forms.ATTEMPTS)
    probe.form(f"{at}.logging.driver", spec.logging.driver, forms.optional(forms.DRIVER))
    probe.pairs(f"{at}.logging.options", spec.logging.options, forms.WORD)
    if spec.healthcheck is not None:
        _check_health(probe, f"{at}.healthcheck", spec.healthcheck)


def _check_health(probe: Probe, at: str, check: Healthcheck) -> None:
    if check.test and not test_fits(check.test):
        probe.wrong(f"{at}.test", "not a check", "CMD or CMD-SHELL, and what is run")
    probe.each(f"{at}.test", check.test, forms.TEXT)
    if check.interval_s:
        probe.form(f"{at}.interval_s", check.interval_s, forms.CHECK_DURATION)
    if check.timeout_s:
        probe.form(f"{at}.timeout_s", check.timeout_s, forms.CHECK_DURATION)
    if check.retries:
        probe.form(f"{at}.retries", check.retries, forms.RETRIES)
    probe.form(f"{at}.start_period_s", check.start_period_s, forms.DURATION)


def _check_uses(probe: Probe, at: str, app: App, spec: ContainerSpec) -> None:
    """Networks, mounts, configs and secrets."""
    if spec.network_mode and spec.networks:
        probe.wrong(f"{at}.networks", f"have no meaning with network_mode {spec.network_mode[:40]}")
    seen = set()
    for index, place in enumerate(spec.networks):
        field = f"{at}.networks[{index}]"
        if place.network in seen:
            probe.wrong(field, "stands there twice")
        seen.add(place.network)
        _check_place(probe, field, place, app)
    for index, mount in enumerate(spec.mounts):
        _check_mount(probe, f"{at}.mounts[{index}]", mount, app)
    for index, reference in enumerate(spec.configs):
        known = reference.source in app.configs
        _check_reference(probe, f"{at}.configs[{index}]", reference, known)
    for index, reference in enumerate(spec.secrets):
        known = reference.source in app.secrets
        _check_reference(probe, f"{at}.secrets[{index}]", reference, known)
    for target in shared_targets(spec):
        probe.wrong(at, f"{target[:80]} is the target of two mounts, configs or secrets")


def _check_place(probe: Probe, at: str, place: Attachment, app: App) -> None:
    if place.network not in app.networks:
        probe.wrong(f"{at}.network", f"the app has no network {place.network[:80]!r}")
    probe.each(f"{at}.aliases", place.aliases, forms.HOST)
    probe.form(f"{at}.ipv4_address", place.ipv4_address, forms.optional(forms.IPV4))
    probe.form(f"{at}.ipv6_address", place.ipv6_address, forms.optional(forms.IPV6))
    probe.form(f"{at}.mac_address", place.mac_address, forms.optional(forms.MAC))
    problem = address_problem(place.ipv4_address, app.networks.get(place.network, Network()))
    if problem:
        probe.wrong(f"{at}.ipv4_address", problem)


def _check_mount(probe: Probe, at: str, mount: Mount, app: App) -> None:
    probe.form(f"{at}.target", mount.target, forms.MOUNT_PATH)
    probe.form(f"{at}.propagation", mount.propagation, forms.optional(forms.PROPAGATION))
    probe.form(f"{at}.selinux", mount.selinux, forms.optional(forms.SELINUX))
    probe.form(f"{at}.tmpfs_size_bytes", mount.tmpfs_size_bytes, forms.BYTES)
    if mount.tmpfs_mode is not None:
        probe.form(f"{at}.tmpfs_mode", mount.tmpfs_mode, forms.TMPFS_MODE)
    if mount.kind is MountKind.BIND:
        probe.form(f"{at}.source", mount.source, forms.BIND_SOURCE)
    elif mount.kind is MountKind.TMPFS and mount.source:
        probe.wrong(f"{at}.source", "a tmpfs has no source")
    elif mount.source and mount.source not in app.volumes:
        probe.wrong(f"{at}.source", f"the app has no volume {mount.source[:80]!r}")


def _check_reference(probe: Probe, at: str, reference: FileRef, known: bool) -> None:
    if not known:
        probe.wrong(f"{at}.source", f"the app has no {reference.source[:80]!r}")
    probe.form(f"{at}.target", reference.target, forms.MOUNT_PATH)
    probe.form(f"{at}.uid", reference.uid, forms.optional(forms.OWNER))
    probe.form(f"{at}.gid", reference.gid, forms.optional(forms.OWNER))
    probe.form(f"{at}.mode", reference.mode, forms.FILE_MODE)


def _check_deploy(probe: Probe, at: str, deploy: DeploySpec) -> None:
    probe.form(f"{at}.replicas", deploy.replicas, forms.REPLICAS)
    if deploy.mode is DeployMode.GLOBAL and deploy.replicas != 1:
        probe.wrong(f"{at}.replicas", "runs once on each host (mode: global)", "1")
    place = deploy.placement
    probe.each(f"{at}.placement.constraints", place.constraints, forms.CONSTRAINT)
    probe.each(f"{at}.placement.spread", place.spread, forms.SPREAD)
    probe.form(f"{at}.placement.max_replicas_per_node", place.max_replicas_per_node, forms.REPLICAS)
    _check_required(probe, f"{at}.placement.require", place.require)
    _check_resources(probe, f"{at}.reservations", deploy.reservations)
    probe.pairs(f"{at}.labels", deploy.labels, forms.LABEL)
    _check_update(probe, f"{at}.update", deploy.update)
    _check_update(probe, f"{at}.rollback", deploy.rollback)
    if deploy.rollback.failure_action is FailureAction.ROLLBACK:
        field = f"{at}.rollback.failure_action"
        probe.wrong(field, "there is nothing to go back to from a way back", "pause, continue")


def _check_resources(probe: Probe, at: str, wanted: Resources) -> None:
    probe.form(f"{at}.cpus", wanted.cpus, forms.CPUS)
    probe.form(f"{at}.memory_bytes", wanted.memory_bytes, forms.MEMORY)
    probe.form(f"{at}.pids", wanted.pids, forms.PIDS)


def _check_required(probe: Probe, at: str, require: Sequence[Required]) -> None:
    if len(require) > REQUIRED_MOST:
        probe.wrong(at, f"{len(require)} of them", f"at most {REQUIRED_MOST}")
    seen = set()
    for index, each in enumerate(require[:REQUIRED_MOST]):
        probe.form(f"{at}[{index}].control", each.control, forms.CONTROL)
        probe.form(f"{at}[{index}].level", each.level, forms.LEVEL)
        if each.control in seen:
            probe.wrong(f"{at}[{index}]", "stands there twice")
        seen.add(each.control)


def _check_update(probe: Probe, at: str, update: UpdateConfig) -> None:
    probe.form(f"{at}.parallelism", update.parallelism, forms.PARALLELISM)
    probe.form(f"{at}.delay_s", update.delay_s, forms.DURATION)
    probe.form(f"{at}.monitor_s", update.monitor_s, forms.DURATION)
    probe.form(f"{at}.max_failure_ratio", update.max_failure_ratio, forms.RATIO)


def _check_serving(probe: Probe, at: str, app: App, service: Service) -> None:
    probe.each(f"{at}.exposed", service.exposed, forms.EXPOSED)
    probe.each(f"{at}.ingress", service.ingress, forms.CONSTRAINT)
    probe.form(f"{at}.drain_s", service.drain_s, forms.DRAIN)
    problem = caller_problem(service)
    if problem:
        probe.wrong(f"{at}.uses", problem, "a network of the app, or mode: host ports of the other")
    if len(service.uses) > USES_MOST:
        probe.wrong(f"{at}.uses", f"{len(service.uses)} of them", f"at most {USES_MOST}")
    name = at.rpartition(".")[2]
    for index, used in enumerate(service.uses[:USES_MOST]):
        field = f"{at}.uses[{index}]"
        probe.form(field, used, forms.USED)
        problem = uses_problem(used, app.name, name, tuple(app.services))
        if used in service.uses[:index]:
            problem = "stands there twice"
        if problem:
            probe.wrong(field, problem)


def _check_ports(probe: Probe, at: str, ports: tuple[PortSpec, ...]) -> None:
    if len(ports) > MAX_PORTS:
        probe.wrong(at, f"{len(ports)} ports", f"at most {MAX_PORTS} of one service")
    taken = Taken()
    for index, port in enumerate(ports):
        field = f"{at}[{index}]"
        probe.form(f"{field}.target", port.target, forms.PORT)
        probe.form(f"{field}.protocol", port.protocol, forms.PROTOCOL)
        probe.form(f"{field}.host_ip", port.host_ip, forms.optional(forms.ADDRESS))
        problem = mode_problem(port)
        if problem:
            probe.wrong(f"{field}.mode", problem, "host")
        first, last = port.published_first, port.published_last
        if (first, last) != (0, 0) and not 1 <= first <= last <= 65535:
            probe.wrong(field, f"published from {first} to {last}", "ports from 1 to 65535, or 0")
        elif not taken.take(port):
            probe.wrong(field, f"host port {first}/{port.protocol[:8]} is taken twice")
