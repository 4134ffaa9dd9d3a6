"""What this host's policy would say of a service, before anything of it is here: the requests that would be made are judged, and
none is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hullmark.agentd.configs import Configs
from hullmark.agentd.sights import Subject, Viewpoint
from hullmark.core import judging
from hullmark.engine import limits, places, request
from hullmark.engine.protocol import CreateRequest
from hullmark.errors import NotFound
from hullmark.model import names
from hullmark.model.app import Bundle, ContainerSpec, PullPolicy
from hullmark.model.epoch import NO_EPOCH
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.policy import (
    ImageSight,
    Needs,
    NetworkSight,
    Policy,
    Sights,
    Violation,
)
from hullmark.model.reference import parse

NOBODY = ImageSight("65534:65534")
"""In place of an image that is not here yet."""
SUBNET = "10.213.0.0/25"
"""In place of the one that the agent would choose."""
DIGEST = "images.digest"


@dataclass(frozen=True)
class Finding:
    """`unknown`: what can only be judged when it is done."""

    violations: tuple[Violation, ...] = ()
    unknown: tuple[str, ...] = ()


class Trial:
    """`view` without an engine judges what can be judged without one."""

    def __init__(self, view: Viewpoint, configs: Configs, engine_name: str = "docker") -> None:
        self._view = view
        self._configs = configs
        self._engine_name = engine_name

    def of(self, bundle: Bundle, ports: tuple[PublishedPort, ...], policy: Policy) -> Finding:
        """Raises EngineUnavailable, Refused."""
        instance = InstanceId(bundle.app, bundle.service, 1, 1)
        files = self._configs.paths(bundle)
        asked = CreateRequest("", instance, "", NO_EPOCH, bundle, ports, files)
        body = request.body(asked, self._engine_name, limits.defaults(self._engine_name))
        subject = Subject(bundle.app, bundle.service, bundle.container.scope)
        needs = judging.needed(body)
        others = (
            request.network_name(bundle, place.network) for place in bundle.container.networks
        )
        needs = replace(needs, networks=tuple(dict.fromkeys([*needs.networks, *others])))
        sights, unknown = self._look(needs, subject, tuple(files.values()))
        expected = _expected_networks(bundle, external=self._view.is_blind)
        sights = replace(sights, networks={**expected, **sights.networks})
        found = [
            *judging.judge_pull(str(body["Image"]), sights, policy),
            *self._places(bundle, policy),
            *judging.judge_creation(body, sights, policy),
            *_joined(bundle, sights, policy),
        ]
        if _is_pinned_at_apply(bundle.container):
            unnamed = [one for one in found if one.rule == DIGEST]
            found = [one for one in found if one.rule != DIGEST]
            told = f"the digest of {bundle.container.image}: its tag is pinned when it is applied"
            unknown += (told,) if unnamed else ()
        return Finding(tuple(dict.fromkeys(found)), unknown)

    def _look(
        self, needs: Needs, subject: Subject, own: tuple[str, ...]
    ) -> tuple[Sights, tuple[str, ...]]:
        try:
            sights = self._view.look(needs, subject, own_files=own)
        except NotFound:
            sights = self._view.look(replace(needs, image=""), subject, own_files=own)
        if sights.image is not None:
            return sights, ()
        told = f"image {needs.image} is not here: whom it runs as is judged when it is"
        return replace(sights, image=NOBODY), (told,)

    def _places(self, bundle: Bundle, policy: Policy) -> Iterator[Violation]:
        owner = Subject(bundle.app)
        for key, volume in bundle.volumes.items():
            if not volume.external:
                body = places.volume_body("", bundle.app, key, volume)
                paths = judging.needed_by_volume(judging.volume_of(body))
                yield from judging.judge_volume(
                    body, self._view.look(Needs(paths=paths), owner), policy
                )
        for key, network in bundle.networks.items():
            if not network.external:
                name, subnet = names.engine_name(bundle.app, key), network.subnet or SUBNET
                body = places.network_body(name, network, {}, subnet, self._engine_name)
                yield from judging.judge_network(body, self._view.look(Needs(), owner), policy)


def _is_pinned_at_apply(container: ContainerSpec) -> bool:
    """Whether the leader looks its tag up, and refuses the app where it can't: what a host is sent then names a digest."""
    looked_up = not container.digest and container.pull_policy is not PullPolicy.NEVER
    return looked_up and not parse(container.image).local


def _expected_networks(bundle: Bundle, *, external: bool) -> dict[str, NetworkSight]:
    """As the app's own will be, where they aren't there yet. `external`: also those of others, which can't be looked at."""
    made = {}
    for key, network in bundle.networks.items():
        if not network.external:
            name = names.engine_name(bundle.app, key)
            made[name] = NetworkSight(name, options=network.driver_options, app=bundle.app)
        elif external:
            made[network.external] = NetworkSight(network.external)
    return made


def _joined(bundle: Bundle, sights: Sights, policy: Policy) -> Iterable[Violation]:
    """The networks beyond the first, which it joins one by one."""
    for place in bundle.container.networks[1:]:
        name = request.network_name(bundle, place.network)
        body = {"Container": "", "EndpointConfig": request.endpoint(place, bundle)}
        yield from judging.judge_connect(name, body, sights, policy)
