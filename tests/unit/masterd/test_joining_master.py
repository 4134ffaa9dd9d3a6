"""`master join`: every answer of a leader's, and every step at which it may have been cut short."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.config import MasterConfig
from hullmark.errors import Conflict, Forbidden, MasterUnavailable, Refused, UsageError
from hullmark.masterd.__main__ import parser
from hullmark.masterd.folder import Folder
from hullmark.masterd.init import Made
from hullmark.masterd.joining import JOIN_PATH, RootAtHand, Way, join
from hullmark.masterd.joinverb import way_of
from hullmark.model.api import Authority as AuthorityAnswer
from hullmark.model.peers import JoinAnswer, JoinRequest
from hullmark.model.wire import from_wire, to_wire
from hullmark.pki.asking import Answer
from hullmark.pki.authority import ROOT_KEY, Authority
from hullmark.pki.certificates import chain_pem
from hullmark.pki.intermediates import root_key, sign_intermediate
from hullmark.pki.invites import MASTER, Invite
from hullmark.store.protocol import Store
from tests.unit.masterd.serving import config_in
from tests.unit.masterd.test_init_shared import Kept, begin, shared

M1, M2 = "https://m1:7442", "https://m2:7442"


class Leader:
    """Answers as the first master does; `silent` masters don't."""

    def __init__(self, authority: Authority, cluster_id: str) -> None:
        self.authority = authority
        self.cluster_id = cluster_id
        self.silent: set[str] = set()
        self.standby: set[str] = set()
        self.keys: list[str] = []
        self.lose_answer = False

    def __call__(
        self,
        master: str,
        method: str,
        path: str,
        body: Optional[bytes],
        root_pem: str,
        timeout_s: float,
    ) -> Answer:
        if master in self.silent:
            raise MasterUnavailable(f"{master}: timed out")
        if path == "/v1/ca":
            answer = AuthorityAnswer(self.authority.root_pem, self.cluster_id)
            return Answer(200, to_wire(answer))
        assert (path, root_pem) == (JOIN_PATH, self.authority.root_pem)
        if master in self.standby:
            return Answer(421, {"error": "StaleEpoch", "message": "it stands by", "leader": M1})
        return Answer(200, to_wire(self._signed(body)))

    def _signed(self, body: Any) -> JoinAnswer:
        request = from_wire(JoinRequest, json.loads(body))
        self.keys.append(request.csr_pem)
        if self.lose_answer:
            self.lose_answer = False
            raise MasterUnavailable("the answer was lost")
        root = self.authority.root
        assert self.authority.folder is not None
        key = root_key(root, self.authority.folder / ROOT_KEY)
        signed = sign_intermediate(
            request.csr_pem, self.cluster_id, request.name, root, key, time.time()
        )
        return JoinAnswer(self.cluster_id, chain_pem(signed).decode(), self.authority.root_pem)


@dataclasses.dataclass
class Pair:
    folder: Path
    store: Kept
    made: Made
    leader: Leader

    @property
    def invite(self) -> Invite:
        return Invite((M2, M1), self.made.root_fingerprint, "m2", "s3cret")

    def join(self, way: Way, **more: Any) -> Made:
        def opened(config: MasterConfig, place: Folder) -> Store:
            return self.store

        config = shared(self.folder / "m2", name="m2")
        return join(config, way, ask=self.leader, opened=opened, **more)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    store = Kept()
    made = begin(tmp_path / "m1", store)
    authority = Authority.load(tmp_path / "m1" / "master" / "pki")
    return Pair(tmp_path, store, made, Leader(authority, made.cluster_id))


def test_it_joins_by_whoever_leads_and_once(pair: Pair) -> None:
    pair.leader.silent = {M2}
    joined = pair.join(Way(pair.invite))
    assert (joined.new, joined.cluster_id) == (True, pair.made.cluster_id)
    assert joined.root_key is None
    again = pair.join(Way(pair.invite))
    assert (again.new, again.root_fingerprint) == (False, pair.made.root_fingerprint)
    assert not pair.join(Way()).new
    assert len(pair.leader.keys) == 1
    assert not (pair.folder / "m2/master/pki/joining.key").exists()


def test_a_standby_names_the_leader(pair: Pair) -> None:
    pair.leader.standby = {M2}
    only = dataclasses.replace(pair.invite, masters=(M2,))
    assert pair.join(Way(only)).new


def test_a_lost_answer_is_asked_for_again_with_the_same_key(pair: Pair) -> None:
    pair.leader.lose_answer = True
    pair.leader.silent = {M2}
    with pytest.raises(MasterUnavailable, match="the answer was lost"):
        pair.join(Way(pair.invite))
    first = (pair.folder / "m2/master/pki/joining.key").read_bytes()
    assert pair.join(Way(pair.invite)).new
    assert (pair.folder / "m2/master/pki/intermediate.key").read_bytes() == first


@pytest.mark.parametrize("lost", [["master.pem"], ["master.pem", "../cluster.json"]])
def test_what_was_cut_short_goes_on_without_the_token(pair: Pair, lost: list[str]) -> None:
    pair.join(Way(pair.invite))
    for name in lost:
        (pair.folder / "m2/master/pki" / name).unlink()
    assert pair.join(Way()).new
    assert not pair.join(Way()).new


def test_the_root_s_key_needs_no_leader(pair: Pair) -> None:
    pki = pair.folder / "m1/master/pki"
    pair.leader.silent = {M1, M2}
    assert pair.join(Way(root=RootAtHand(pki / ROOT_KEY, pki / "root.pem"))).new


def test_what_does_not_belong_together_is_told(pair: Pair) -> None:
    with pytest.raises(Refused, match="no token"):
        pair.join(Way())
    with pytest.raises(Conflict, match="for master m3, and this one is m2"):
        pair.join(Way(dataclasses.replace(pair.invite, host="m3")))
    with pytest.raises(Forbidden, match="not the master that made the invite"):
        pair.join(Way(dataclasses.replace(pair.invite, fingerprint="0" * 64)))
    with pytest.raises(Conflict, match="--ca-sha256"):
        pair.join(Way(pair.invite, fingerprint="0" * 64))
    pair.leader.cluster_id = "c9"
    with pytest.raises(Conflict, match="the invite is of cluster c9"):
        pair.join(Way(pair.invite))
    assert not (pair.folder / "m2/master/pki/intermediate.key").exists()


def test_another_cluster_s_token_changes_no_master(pair: Pair) -> None:
    pair.join(Way(pair.invite))
    with pytest.raises(Conflict, match="and the one asked for"):
        pair.join(Way(dataclasses.replace(pair.invite, fingerprint="0" * 64)))


def test_there_has_to_be_a_cluster_in_a_store_that_is_shared(pair: Pair) -> None:
    pair.store = Kept()
    with pytest.raises(Refused, match="holds no cluster yet"):
        pair.join(Way(pair.invite))
    with pytest.raises(Refused, match="an embedded store has one master"):
        join(config_in(pair.folder), Way(pair.invite))


def test_the_command_takes_one_way(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(Invite((M1,), "a" * 64, "m2", "s").text(MASTER))
    at = ["join", M2, "--token-file", str(token)]
    way = way_of(parser().parse_args(at))
    assert way.invite is not None
    assert way.invite.masters == (M2,)
    token.unlink()
    assert way_of(parser().parse_args(at)).invite is None
    for wrong in (
        ["join"],
        ["join", "--root-key", "k"],
        [*at, "--root-key", "k", "--root-cert", "c"],
        ["join", M1, "--ca-chain", "c", "--ca-key", "k"],
    ):
        with pytest.raises(UsageError):
            way_of(parser().parse_args(wrong))
