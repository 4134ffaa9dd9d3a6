"""The .rpm packages, installed, upgraded and erased by real dnf and rpm; see tests/packaging/rhel.py for what stands in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.hosts.images import Image
from tests.hosts.roots import held_root
from tests.packaging import rhel
from tests.packaging.products import NEXT_VERSION, TREE, VERSION, products, scatter_litter
from tests.packaging.proxy import Proxy

CONF = "/etc/hullmark"
STATE = "/var/lib/hullmark"
STATE_OF_PROXY = "/var/lib/hullmark-proxy"
MODULES = "/usr/share/hullmark/hullmark"
BUILT_FROM = (
    *("agent", "conf", "docs", "packaging"),
    *("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md"),
)
EDIT = "log_level: debug\n"
LATER = (
    *("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=Asia/Tokyo", "LANG=C"),
    *("sh", "-c", 'umask 077; exec faketime -f "+400d" "$@"', "sh"),
)
"""Before a command: another day, another place in the world, another umask."""
WITH_HAPROXY = "trixie-rpm"
"""Where there is a program behind the package's name: Debian 11's is older than the proxy needs, and RHEL 9's."""
NEW_LINE = "# A line that the next version's file has.\n"


on_both = pytest.mark.parametrize("host", ["el9", "el10"], indirect=True, scope="module")
on_one = pytest.mark.parametrize(
    "host",
    ["el9", pytest.param("el10", marks=pytest.mark.full)],
    indirect=True,
    scope="module",
)
"""The other only by make test-full."""
too_old = pytest.mark.skip(reason="the stand-in has no HAProxy that the proxy can use")
on_newest = pytest.mark.parametrize(
    "host",
    [pytest.param("el9", marks=[pytest.mark.full, too_old]), "el10"],
    indirect=True,
    scope="module",
)
"""Both are named, as tests of one host come together by a value's number."""


@dataclass(frozen=True)
class Shop:
    """A host of the family, and a repository that also has the next version, with other default files."""

    host: Host
    next_repository: Path

    def dnf(self, *arguments: str) -> str:
        return rhel.dnf(self.host, *arguments)

    def run(self, command: str) -> str:
        return self.host.run(command).stdout

    def succeeds(self, command: str) -> bool:
        return self.host.run(command, check=False).returncode == 0

    def has(self, path: str) -> bool:
        return self.succeeds(f"test -e {path}")

    def install(self) -> str:
        rhel.use_repository(self.host, products().repo)
        return self.dnf("install", "hullmark-agent", "hullmark-master")

    def upgrade(self) -> str:
        rhel.use_repository(self.host, self.next_repository)
        return self.dnf("upgrade")

    def erase(self) -> str:
        return self.dnf("remove", *rhel.PACKAGES)

    def clear(self) -> None:
        """As before the first installation, the user apart, which stays on a real host too."""
        self.host.run(["dnf", "-q", "-y", "remove", *rhel.PACKAGES, rhel.PROXY], check=False)
        for path in (
            CONF,
            STATE,
            STATE_OF_PROXY,
            "/var/log/hullmark",
            "/etc/systemd/system-preset",
        ):
            shutil.rmtree(self.host.path(path), ignore_errors=True)

    def run_cluster(self) -> None:
        """Master and agent of this host, both as services."""
        self.run("hullmark master init --address 127.0.0.1")
        self.run(
            "hullmark status --wait 60s || true; hullmark invite $(uname -n) --token-file /run/token"
        )
        self.run("hullmark agent enroll --token-file /run/token && rm /run/token")
        self.run("hullmark status --wait 60s || true")

    def pid(self, service: str) -> str:
        return self.run(f"systemctl show --property MainPID --value {service}").strip()


@pytest.fixture(scope="module")
def next_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This version, and a next one whose default files differ."""
    folder = tmp_path_factory.mktemp("next")
    tree = copy_of_tree(folder / "tree")
    for name in ("agent", "master"):
        with (tree / f"conf/{name}.yaml").open("a") as file:
            file.write(NEW_LINE)
    packages = build(tree, folder / "rpm", "--version", NEXT_VERSION)
    repository = folder / "repo"
    shutil.copytree(products().repo, repository)
    sign = f"{TREE}/packaging/repo.sh --key {products().folder}/secret-key.asc --out {repository}"
    subprocess.run([*sign.split(), *map(str, packages)], check=True, capture_output=True)
    return repository


@pytest.fixture(scope="module")
def roots(bed: Bed) -> Iterator[None]:
    """Made where they aren't there yet: the second beside the tests on the first."""

    def make(image: Image) -> None:
        with held_root(image):
            pass

    with ThreadPoolExecutor(1) as pool:
        for family in rhel.FAMILIES.values():
            pool.submit(make, family.image)
        yield


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest, bed: Bed, roots: None, tmp_path_factory: pytest.TempPathFactory
) -> Host:
    family = rhel.FAMILIES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.hosts.bed.IMAGES", {family.image.name: family.image})
        made = bed.host(family.name, family.image.name)
    rhel.prepare(made, family, tmp_path_factory.mktemp(family.name) / "stand-ins")
    return made


@pytest.fixture
def shop(host: Host, next_repository: Path) -> Iterator[Shop]:
    one = Shop(host, next_repository)
    one.clear()
    yield one
    one.clear()


def copy_of_tree(folder: Path, copy: Callable[[str, str], object] = shutil.copy2) -> Path:
    """What the packages are built from, in another place, with other times."""
    folder.mkdir(parents=True)
    for name in BUILT_FROM:
        source = TREE / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored, copy_function=copy)
        else:
            copy(str(source), str(folder / name))
    for path in folder.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


def build(tree: Path, out: Path, *arguments: str, before: Sequence[str] = ()) -> list[Path]:
    command = [*before, str(tree / "packaging/rpm/build.sh"), "--out", str(out), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return sorted(out.glob("*.rpm"))


def test_a_build_in_another_folder_at_another_time_is_the_same_bytes(tmp_path: Path) -> None:
    """As the packages that are tried: of a tree in which something lies about."""
    there = copy_of_tree(tmp_path / "some" / "where" / "else", shutil.copyfile)
    scatter_litter(there)
    for script in there.rglob("*.sh"):
        script.chmod(0o700)
    first = products().rpms
    second = build(there, tmp_path / "second", before=LATER)
    now = subprocess.run([*LATER, "date", "+%s"], check=True, capture_output=True, text=True).stdout
    assert int(now) > time.time() + 399 * 86400
    hashes = [{file.name: digest(file) for file in files} for files in (first, second)]
    assert hashes[0] == hashes[1]
    built = {f"{name}-{VERSION}-1.noarch.rpm" for name in (*rhel.PACKAGES, rhel.PROXY)}
    assert set(hashes[0]) == built


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_rpmlint_finds_nothing() -> None:
    folder = TREE / "packaging/rpm"
    command = ["rpmlint", "--strict", "--config", str(folder / "rpmlint.toml")]
    files = [folder / "hullmark.spec", *products().rpms]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " 0 errors, 0 warnings" in done.stdout
    assert "4 packages and 1 specfiles checked" in done.stdout


@on_both
def test_installed_it_is_whole_and_only_checks(shop: Shop) -> None:
    listening = shop.run("ss -Hltun")
    printed = shop.install()
    assert "this host is not enrolled: the agent checks its controls" in printed
    assert "there is no cluster yet, so nothing was started" in printed
    assert shop.run(f"rpm -V {' '.join(rhel.PACKAGES)}") == ""
    assert shop.run("hullmark version").split()[-1] == VERSION
    for service in ("hullmark-agent", "hullmark-master"):
        assert shop.run(f"systemctl is-enabled {service}").strip() == "enabled"
    assert shop.succeeds("systemctl is-active hullmark-agent")
    # Also when asked for: the unit's condition says no.
    shop.run("systemctl start hullmark-master")
    assert not shop.succeeds("systemctl is-active hullmark-master")
    runs = shop.host.image.name == WITH_HAPROXY
    assert shop.succeeds("systemctl is-active hullmark-proxy") is runs
    assert shop.run(f"rpm -V {rhel.PROXY}") == ""
    assert shop.run("ss -Hltun") == listening
    assert shop.run("id -un hullmark; id -gn hullmark").split() == ["hullmark", "hullmark"]
    modes = shop.run(
        f"stat -c '%n %a %U:%G' {STATE}/agent {STATE}/master {CONF}/registries.d /var/log/hullmark /var/log/hullmark/master"
    )
    assert modes.splitlines() == [
        f"{STATE}/agent 700 root:root",
        f"{STATE}/master 700 hullmark:hullmark",
        f"{CONF}/registries.d 700 root:root",
        "/var/log/hullmark 751 root:root",
        "/var/log/hullmark/master 750 hullmark:hullmark",
    ]


@on_one
def test_bytecode_is_made_for_this_python_and_nothing_else_is_unowned(shop: Shop) -> None:
    shop.install()
    assert shop.run(f"find {MODULES} -name '*.py' -printf x | wc -c") == shop.run(
        f"find {MODULES} -name '*.pyc' -printf x | wc -c"
    )
    # The agent runs, and keeps what it knows of the host.
    own = f"-not -path '*/__pycache__*' -not -path '{STATE}/agent/*'"
    files = f"find /usr/share/hullmark /etc/hullmark {STATE} {own}"
    unowned = f"for one in $({files}); do rpm -qf $one >/dev/null || echo $one; done"
    assert shop.run(unowned) == ""


@on_one
def test_a_shops_own_preset_keeps_it_from_being_enabled(shop: Shop) -> None:
    shop.host.write("/etc/systemd/system-preset/10-shop.preset", "disable hullmark-*.service\n")
    shop.install()
    assert not shop.succeeds("systemctl is-enabled hullmark-agent hullmark-master")


@on_both
def test_upgrading_keeps_edits_and_restarts_what_runs(shop: Shop) -> None:
    shop.install()
    shop.run(f"printf '{EDIT}' >>{CONF}/agent.yaml; printf '{EDIT}' >{CONF}/agent.d/shop.yaml")
    shop.run_cluster()
    before = shop.pid("hullmark-agent"), shop.pid("hullmark-master")
    shop.upgrade()
    assert {rhel.installed_version(shop.host, one) for one in rhel.PACKAGES} == {NEXT_VERSION}
    assert shop.run("hullmark version").split()[-1] == NEXT_VERSION
    # The edited one stayed, with the new one beside it; the other was replaced.
    assert shop.run(f"tail -n 1 {CONF}/agent.yaml") == EDIT
    assert shop.run(f"tail -n 1 {CONF}/agent.yaml.rpmnew") == NEW_LINE
    assert shop.run(f"tail -n 1 {CONF}/master.yaml") == NEW_LINE
    assert not shop.has(f"{CONF}/master.yaml.rpmnew")
    assert shop.run(f"cat {CONF}/agent.d/shop.yaml") == EDIT
    after = shop.pid("hullmark-agent"), shop.pid("hullmark-master")
    assert "0" not in before + after
    assert before[0] != after[0]
    assert before[1] != after[1]
    shop.run("hullmark status --wait 60s || true; hullmark hosts | grep -q $(uname -n)")
    changed = shop.host.run(f"rpm -V {' '.join(rhel.PACKAGES)}", check=False).stdout
    assert [line.split()[1:] for line in changed.splitlines()] == [["c", f"{CONF}/agent.yaml"]]


@on_one
def test_an_upgrade_restarts_only_what_would_start(shop: Shop) -> None:
    shop.install()
    shop.run_cluster()
    before = shop.pid("hullmark-agent"), shop.pid("hullmark-master")
    shop.host.write(f"{CONF}/agent.d/typo.yaml", "resnyc: 30s\n")
    printed = shop.upgrade()
    assert f"{CONF}/agent.d/typo.yaml:1" in printed
    assert "then: systemctl restart hullmark-agent" in printed
    assert shop.pid("hullmark-agent") == before[0] != "0"
    assert shop.pid("hullmark-master") not in ("0", before[1])


@on_one
def test_going_back_keeps_edits_too(shop: Shop) -> None:
    shop.install()
    shop.run(f"printf '{EDIT}' >>{CONF}/agent.yaml")
    shop.upgrade()
    shop.dnf("downgrade", *(f"{name}-{VERSION}" for name in rhel.PACKAGES))
    assert {rhel.installed_version(shop.host, one) for one in rhel.PACKAGES} == {VERSION}
    assert shop.run("hullmark version").split()[-1] == VERSION
    assert shop.run(f"tail -n 1 {CONF}/agent.yaml") == EDIT
    assert shop.run("rpm -V hullmark hullmark-master") == ""


@on_both
def test_erasing_stops_it_and_keeps_edits_state_logs_and_the_user(shop: Shop) -> None:
    shop.install()
    shop.run(f"printf '{EDIT}' >>{CONF}/agent.yaml; echo x >/var/log/hullmark/audit.log")
    shop.run_cluster()
    printed = shop.erase()
    assert "'hullmark eject'" in printed
    assert f"kept {STATE}/agent" in printed
    assert not shop.succeeds("systemctl is-active hullmark-agent hullmark-master")
    assert not shop.succeeds("pgrep -f '[/]usr/share/hullmark/'")
    left = shop.run(
        f"find {CONF} /usr/share/hullmark /usr/bin/hullmark -type f 2>/dev/null || true"
    )
    assert left.split() == [f"{CONF}/agent.yaml.rpmsave"]
    assert shop.run(f"tail -n 1 {CONF}/agent.yaml.rpmsave") == EDIT
    for kept in (f"{STATE}/agent/enrolment.json", f"{STATE}/master/pki/master.pem"):
        assert shop.has(kept)
    assert shop.has("/var/log/hullmark/audit.log")
    assert shop.succeeds("id hullmark")
    found = "find /etc/systemd /usr/lib/systemd /usr/share -name '*hullmark*'"
    assert shop.run(found) == ""


@on_newest
def test_the_proxy_outlives_the_agent_and_is_reloaded_by_its_own_upgrade(shop: Shop) -> None:
    shop.install()
    proxy = Proxy(shop.host)
    proxy.wait_until_it_answers()
    first, workers = proxy.first(), proxy.workers()
    # As the page says: what came as a recommendation would go with the package that recommends it.
    shop.dnf("remove", "--noautoremove", *rhel.PACKAGES)
    assert (proxy.first(), proxy.workers()) == (first, workers)
    shop.upgrade()
    assert rhel.installed_version(shop.host, rhel.PROXY) == NEXT_VERSION
    wait_until(lambda: proxy.answers() and proxy.workers() != workers, "it was reloaded", 10.0)
    assert proxy.first() == first
    shop.host.write(f"{STATE_OF_PROXY}/addresses", "10.214.0.9\n")
    shop.run("systemctl restart hullmark-proxy")
    wait_until(lambda: proxy.addresses() == ["10.214.0.9/32"], "its address is there", 10.0)
    shop.dnf("remove", rhel.PROXY)
    assert proxy.remains() == []
    assert shop.has(f"{STATE_OF_PROXY}/haproxy.cfg")


@on_one
def test_reinstalled_it_goes_on_with_what_was_kept(shop: Shop) -> None:
    shop.install()
    shop.run_cluster()
    shop.erase()
    printed = shop.install()
    assert "not enrolled" not in printed
    assert shop.pid("hullmark-agent") != "0"
    assert shop.pid("hullmark-master") != "0"
    shop.run("hullmark status --wait 60s || true; hullmark hosts | grep -q $(uname -n)")


@on_one
def test_no_engine_comes_with_the_agent(shop: Shop) -> None:
    rhel.use_repository(shop.host, products().repo)
    asked = shop.host.run(["dnf", "--assumeno", "install", "hullmark-agent"], check=False)
    assert "Operation aborted" in asked.stderr
    names = [line.split()[0] for line in asked.stdout.splitlines() if line.startswith(" ")]
    assert "hullmark-agent" in names
    assert not set(names) & set(rhel.ENGINES)


@on_one
def test_what_is_missing_is_named(shop: Shop) -> None:
    rhel.use_repository(shop.host, products().repo)
    without = rhel.refused(shop.host, "--exclude=python3-docker", "install", "hullmark-agent")
    assert "python3-docker" in without
    assert rhel.installed_version(shop.host, "hullmark-agent") is None
