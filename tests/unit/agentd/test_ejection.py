"""A host leaves, and comes back: what is done, in which order, and what a second run finds to do."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import threading
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.agentd import ejection as module
from hullmark.agentd import ejectionanswer, enrolment, statefile
from hullmark.agentd.directorykeeper import FILE, KeptDirectory
from hullmark.agentd.ejected import is_ejected
from hullmark.agentd.ejection import Choice, Done, Leave
from hullmark.agentd.ejectionanswer import document, run_eject, text
from hullmark.agentd.ejectionfolder import MANIFEST
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.homecoming import Homecoming
from hullmark.agentd.identity import who
from hullmark.agentd.lock import FolderLock
from hullmark.config import load_agent
from hullmark.core.ejectionproject import COMPLETED
from hullmark.core.ejectionwords import COMPOSE
from hullmark.engine.protocol import CreateRequest
from hullmark.errors import BrokenState, Conflict, EngineUnavailable, Forbidden, NotFound, Refused
from hullmark.model.app import Restart, RestartCondition
from hullmark.model.directory import Directory, PublishedEntry, ServiceName
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.orders import InstanceId, Orders
from hullmark.model.wire import digest
from tests.unit.agentd.fakes import CLUSTER, EPOCH, HOST, FakeEngine, bundle_of, orders_of
from tests.unit.agentd.test_daemon import config_in

WEB = InstanceId("shop", "web", 1, 1)
SECRET = "value-of-a-variable"


class Box:
    """An enrolled host whose containers run."""

    def __init__(self, folder: Path, orders: Optional[Orders] = None) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.out = folder / "out"
        self.engine = FakeEngine()
        self.stops = 0
        enrolled = Enrolment(CLUSTER, HOST, "box", ("https://m:1",), 0.0, 9e9)
        enrolment.save(self.state, enrolled)
        self.bundle = bundle_of(environment={"A": SECRET})
        self.orders = orders or orders_of([(WEB, self.bundle)])
        statefile.save(self.state, self.orders)
        for assignment in self.orders.assignments:
            bundle = self.orders.bundles[assignment.spec_hash]
            self.run(assignment.instance, digest(bundle))

    def run(self, instance: InstanceId, spec_hash: str, cluster: str = CLUSTER) -> str:
        request = CreateRequest(cluster, instance, spec_hash, EPOCH, self.bundle)
        made = self.engine.create(request)
        self.engine.start(made)
        self.engine.calls.clear()
        return made

    def leave(self, **choice: Any) -> Done:
        out = choice.pop("out", self.out)
        return Leave(
            self.state, self.engine, Choice(out, **choice), stop_service=self.stop_service
        ).run()

    def stop_service(self) -> None:
        """After the mark, and before anything is done to a container."""
        assert is_ejected(self.state)
        assert self.stops or not self.engine.calls
        self.stops += 1

    def tree(self) -> dict[str, bytes]:
        files = [each for each in self.out.rglob("*") if each.is_file()]
        return {str(each.relative_to(self.out)): each.read_bytes() for each in files}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_host_in_no_cluster_is_asked_for_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_configured: str) -> str:
        raise EngineUnavailable("no engine here")

    monkeypatch.setattr(ejectionanswer, "find_engine", find)
    config = load_agent(config_in(tmp_path)).config
    with pytest.raises(NotFound, match="this host is not enrolled"):
        run_eject(config, Choice(tmp_path / "out", dry_run=True), as_json=False)
    enrolled = Enrolment(CLUSTER, HOST, "box", ("https://m:1",), 0.0, 9e9)
    Path(config.state_dir).mkdir()
    enrolment.save(Path(config.state_dir), enrolled)
    with pytest.raises(EngineUnavailable):
        run_eject(config, Choice(tmp_path / "out", dry_run=True), as_json=False)


def test_the_host_is_ejected_and_its_engine_restarts(box: Box) -> None:
    done = box.leave()
    assert is_ejected(box.state)
    assert box.engine.calls == [("set_restart_policy", "shop.web.1.g1 unless-stopped")]
    assert set(box.tree()) == {
        MANIFEST,
        "README.md",
        "shop/.env",
        "shop/README.md",
        "shop/compose.yaml",
    }
    assert done.unset == ()
    assert len(done.changed) == 3
    assert box.stops == 1


def test_an_ejected_host_serves_nobody_although_its_orders_are_there(box: Box) -> None:
    (box.state / enrolment.RECORD).rename(box.state / "away")
    assert who(box.state).host_id == HOST, "with the orders alone it goes on"
    (box.state / "away").rename(box.state / enrolment.RECORD)
    box.leave()
    with pytest.raises(NotFound, match="was ejected"):
        who(box.state)


def test_a_second_run_changes_nothing(box: Box) -> None:
    box.leave()
    before = box.tree()
    box.engine.calls.clear()
    done = box.leave()
    assert done.changed == ()
    assert box.engine.calls == []
    assert box.tree() == before
    assert document(done)["changed"] is False
    assert "already" in text(done)


def test_what_a_person_made_of_the_projects_is_kept(box: Box) -> None:
    box.leave()
    (box.out / "shop/compose.yaml").write_text("mine")
    assert box.leave().changed == ()
    assert (box.out / "shop/compose.yaml").read_text() == "mine"
    assert box.leave(force=True).changed == (f"wrote {box.out}",)
    assert "mine" not in (box.out / "shop/compose.yaml").read_text()


def test_a_dry_run_says_it_all_and_changes_nothing(box: Box) -> None:
    done = box.leave(dry_run=True)
    assert len(done.changed) == 3
    assert box.stops == 0
    assert not is_ejected(box.state)
    assert not box.out.exists()
    assert box.engine.calls == []
    assert document(done)["apps"][0]["containers"][0]["restart_set"] is False
    assert f"would be in {box.out}; nothing was written" in text(done)
    assert "README.md" not in text(done)
    assert f"see {box.out}/README.md" in text(box.leave())
    assert f"see {box.out}/README.md" in text(box.leave(dry_run=True)), "it is there from before"


def test_whoever_may_not_look_into_the_folder_is_told_so(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(Forbidden, match="Permission denied") as raised:
        is_ejected(box.state)
    assert raised.value.remedy == "run it as root"


def test_the_page_hands_over_with_whichever_compose_there_is(box: Box) -> None:
    box.leave()
    page = (box.out / "shop/README.md").read_text()
    over, back = (block.partition("\n```")[0] for block in page.split("```sh\n")[1:])
    for block in (over, back):
        assert block.splitlines()[0] == COMPOSE
        assert not re.search(r"^docker.compose", block, re.MULTILINE)
    assert over.endswith("\ncompose up -d")
    assert f"compose --profile {COMPLETED} down" in back


def test_ports_of_the_proxy_are_told_of_this_enrolment_alone(box: Box) -> None:
    entry = PublishedEntry(8443, "", ServiceName("shop", "web"), 443)
    for host, told in (("h0", False), (HOST, True)):
        kept = KeptDirectory(CLUSTER, host, Directory(published=(entry,)))
        (box.state / FILE).write_bytes(statefile.sealed("directory", kept))
        notes = box.leave(dry_run=True).notes
        assert any(note.endswith("ports: ['8443:443']") for note in notes) is told
    box.leave()
    assert '# - "8443:443"' in (box.out / "shop/compose.yaml").read_text()
    assert "| web | 8443:443 |" in (box.out / "shop/README.md").read_text()


@pytest.mark.parametrize("is_folder", [False, True])
def test_that_nobody_knows_the_proxys_ports_is_told(box: Box, is_folder: bool) -> None:
    if is_folder:
        (box.state / FILE).mkdir()
    else:
        (box.state / FILE).write_bytes(b"damaged")
    assert any(FILE in note and "not named here" in note for note in box.leave().notes)


def test_no_value_of_a_variable_is_told(box: Box) -> None:
    done = box.leave()
    assert SECRET not in json.dumps(document(done)) + text(done)
    files = {name for name, content in box.tree().items() if SECRET.encode() in content}
    assert files == {"shop/compose.yaml"}


def test_an_engine_that_keeps_its_policy_is_told_of(box: Box) -> None:
    box.engine.changes_policies = False
    done = box.leave()
    assert [one.name for one in done.unset] == ["shop.web.1.g1"]
    assert any("nothing restarts them" in note for note in done.notes)
    page = (box.out / "shop/README.md").read_text()
    assert "| shop.web.1.g1 | web | none before it is handed over |" in page
    assert document(done)["apps"][0]["containers"][0]["restart_set"] is False


def test_what_is_between_two_tries_is_started(box: Box) -> None:
    box.engine.crash("shop.web.1.g1")
    done = box.leave()
    assert [call[0] for call in box.engine.calls] == ["set_restart_policy", "start"]
    assert "shop.web.1.g1: started" in done.changed


def test_containers_of_another_cluster_are_not_touched(box: Box) -> None:
    other = box.run(InstanceId("other", "web", 1, 1), "hash", cluster="c2")
    done = box.leave()
    assert box.engine.restart_policy(other) == NO_RESTART
    assert "other.web" not in text(done)


def test_orders_of_another_enrolment_say_nothing(tmp_path: Path) -> None:
    orders = dataclasses.replace(orders_of([(WEB, bundle_of())]), host_id="h0")
    done = Box(tmp_path, orders).leave()
    assert done.ejection.projects == ()
    assert [one.why for one in done.ejection.leftovers] == ["no order names it"]


def test_an_agent_that_does_not_go_holds_it_up(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGENT_GONE_S", 0.05)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    agent = FolderLock(box.state)
    with pytest.raises(Conflict, match="has not seen it"):
        box.leave()
    assert box.engine.calls == [], "no policy while an agent may act"
    assert is_ejected(box.state)
    agent.release()
    assert len(box.leave().changed) == 2
    assert box.engine.restart_policy(box.engine.named("shop.web.1.g1").container_id) != NO_RESTART


@pytest.mark.parametrize("step", ["info", "listed", "container", "restart_policy"])
def test_an_engine_that_is_down_changes_nothing(box: Box, step: str) -> None:
    box.engine.trouble = lambda method: EngineUnavailable("down") if method == step else None
    with pytest.raises(EngineUnavailable):
        box.leave()
    assert not is_ejected(box.state)
    assert not box.out.exists()


def test_an_engine_that_goes_down_in_between_is_made_up_for(box: Box) -> None:
    down = EngineUnavailable("down")
    box.engine.trouble = lambda method: down if method == "set_restart_policy" else None
    with pytest.raises(EngineUnavailable):
        box.leave()
    assert is_ejected(box.state)
    box.engine.trouble = lambda method: None
    assert len(box.leave().changed) == 2
    assert box.out.is_dir()


def test_a_host_that_is_not_enrolled_has_nothing_to_leave(box: Box) -> None:
    (box.state / enrolment.RECORD).unlink()
    with pytest.raises(NotFound, match="not enrolled"):
        box.leave()


def test_damaged_orders_are_no_reason_to_forget_containers(box: Box) -> None:
    for name in statefile.NAMES:
        (box.state / name).write_text("damaged")
    with pytest.raises(BrokenState):
        box.leave()
    assert not is_ejected(box.state)


@pytest.mark.parametrize("force", [False, True])
def test_nothing_of_others_is_overwritten(box: Box, force: bool) -> None:
    box.out.mkdir()
    (box.out / "mine").write_text("kept")
    with pytest.raises(Conflict, match="exists"):
        box.leave(force=force)
    assert box.tree() == {"mine": b"kept"}
    assert not is_ejected(box.state)


def test_a_folder_that_can_not_be_written_changes_nothing(box: Box) -> None:
    (box.state / "file").touch()
    with pytest.raises(Refused, match="Not a directory"):
        box.leave(out=box.state / "file/out")
    assert not is_ejected(box.state)


def test_what_must_never_run_twice_takes_a_word(tmp_path: Path) -> None:
    orders = orders_of([(WEB, bundle_of())])
    limited = tuple(dataclasses.replace(one, stop_unheard_s=5.0) for one in orders.assignments)
    box = Box(tmp_path, dataclasses.replace(orders, assignments=limited))
    with pytest.raises(Refused, match=r"shop/web\.1"):
        box.leave()
    assert not is_ejected(box.state)
    done = box.leave(accept_duplicates=True)
    assert any("may run twice" in note for note in done.notes)
    assert box.leave().changed == ()


def test_the_way_back_gives_policies_to_the_agent_again(box: Box) -> None:
    one_shot = bundle_of("job", restart=Restart(RestartCondition.NONE))
    other = box.run(InstanceId("other", "web", 1, 1), digest(one_shot), cluster="c2")
    always = EngineRestart("always")
    box.engine.policies[other] = always
    box.leave()
    (box.state / enrolment.EJECTED).rename(box.state / enrolment.RECORD)
    (box.state / enrolment.EJECTED).touch()
    Homecoming(box.state, box.engine, CLUSTER).run(threading.Event())
    container = box.engine.named("shop.web.1.g1").container_id
    assert box.engine.restart_policy(container) == NO_RESTART
    assert box.engine.restart_policy(other) == always
    assert not (box.state / enrolment.EJECTED).exists()


def test_the_way_back_waits_for_the_engine(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    (box.state / enrolment.EJECTED).touch()
    monkeypatch.setattr("hullmark.agentd.homecoming.RETRY_S", 0.001)
    troubles = [EngineUnavailable("down"), EngineUnavailable("down")]
    box.engine.trouble = lambda method: troubles.pop() if troubles else None
    Homecoming(box.state, box.engine, CLUSTER).run(threading.Event())
    assert not troubles
    assert not (box.state / enrolment.EJECTED).exists()


def test_a_host_that_never_left_has_nothing_to_take_back(box: Box) -> None:
    Homecoming(box.state, box.engine, CLUSTER).run(threading.Event())
    assert box.engine.asked.count("listed") == 0
