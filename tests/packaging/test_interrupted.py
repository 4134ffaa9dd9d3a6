"""apt and dpkg killed at any moment: `dpkg --configure -a` and the same command again end well; after a purge also
`dpkg --purge`, as apt only removes what was half removed.

Most moments are tried in a root that is not booted: at each step that apt tells of, and in the middle of the maintainer
scripts, when they call a tool. What else has to hold, on a booted host: services and containers are as they should be.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional

import pytest

from tests.cluster import die_with_parent, wait_until
from tests.hosts import Bed, CommandFailed, Host
from tests.hosts.images import IMAGES
from tests.hosts.roots import held_root
from tests.integration.daemon import load_image
from tests.packaging.clusterstate import all_is_well
from tests.packaging.products import NEXT_VERSION, TREE, VERSION, products

PACKAGES = ("hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy")
TIMEOUT_S = 120
# What it mounts is gone with its last process, and its processes end with the first one.
APART = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
ENTER = """
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs run run
mkdir -p products
mount --bind "$3" products
exec chroot . env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 /bin/sh -c "$4"
"""
# apt gives maintainer scripts a path of its own.
PATH_OPTION = "Dpkg::Path=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
APT = (
    "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0"
    " -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io"
    f" -o {PATH_OPTION}"
)
# Both versions, as in a shop's mirror.
SOURCE = "deb [signed-by=/products/key.asc] file:/products/next/repo/apt stable main\n"
COMMANDS = {
    "install": f"{APT} install {' '.join(f'{package}={VERSION}-1' for package in PACKAGES)}",
    "upgrade": f"{APT} install {' '.join(PACKAGES)}",
    "remove": f"{APT} remove {' '.join(PACKAGES)}",
    "purge": f"{APT} purge {' '.join(PACKAGES)}",
}
PURGE_REST = "dpkg --purge hullmark-agent hullmark-proxy hullmark-master hullmark"
STATES = "dpkg-query --show --showformat '${Package} ${Status} ${Version}\\n' 'hullmark*'"
NOTES = "dpkg-query --show --showformat '${Package}${Conffiles}\\n' 'hullmark*'"
TOOLS = {
    "install": ("py3compile", "adduser", "install", "update-rc.d", "deb-systemd-helper"),
    "upgrade": ("py3clean", "py3compile", "update-rc.d"),
    "remove": ("invoke-rc.d", "py3clean"),
    "purge": ("rm", "rmdir", "update-rc.d", "deb-systemd-helper"),
}
"""What the maintainer scripts call."""
# In the place of a tool, once: it ends dpkg and all else while the script waits for it, or dpkg alone.
STRIKE = """\
#!/bin/sh
if ! mkdir /struck 2>/dev/null; then PATH=/usr/sbin:/usr/bin:/sbin:/bin exec {tool} "$@"; fi
{kill}
sleep 60
"""
KILL_ALL = "kill -9 -1"
KILL_ON_HOST = "pkill -KILL -x apt-get; pkill -KILL -x dpkg; kill -KILL $PPID; exit 1"
KILL_DPKG = "kill -9 $(pidof dpkg); exit 0"
IMAGE = "localhost/hullmark-test:1"
COMPOSE = f"name: shop\nservices: {{web: {{image: {IMAGE}, init: true}}}}\n"
EDIT = "# A line of the shop.\n"


@dataclass
class Root:
    """A root that is not booted: an overlay on `lower`, the topmost first. Its disk stays as a kill leaves it."""

    folder: Path
    lower: tuple[Path, ...]

    def __post_init__(self) -> None:
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)

    def on_top(self, folder: Path) -> Root:
        return Root(folder, (self.folder / "upper", *self.lower))

    def start(self, command: str) -> subprocess.Popen[str]:
        # More than one command, so that the shell stays the first process of all.
        script = f"{command}; exit $?"
        lower = ":".join(str(path) for path in self.lower)
        words = ["sh", "-c", ENTER, "sh", lower, str(self.folder), str(products().folder), script]
        return subprocess.Popen(
            [*APART, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent,
        )

    def run(self, command: str, *, check: bool = True) -> str:
        """What it prints."""
        with self.start(command) as process:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        assert not check or process.returncode == 0, f"{command}:\n{output}"
        return output

    def run_until(self, command: str, moment: Optional[int]) -> list[str]:
        """The steps that apt tells of, up to the one at which all is killed. None: to the end."""
        steps: list[str] = []
        with self.start(command.replace("apt-get", "apt-get -o APT::Status-Fd=1", 1)) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if not line.startswith("pmstatus:"):
                    continue
                steps.append(line.split(":", 3)[-1].strip())
                if len(steps) - 1 == moment:
                    process.kill()
                    # Until the last process is gone.
                    process.stdout.read()
                    break
        return steps

    def strike(self, tool: str, kill: str) -> None:
        path = self.folder / "upper/usr/local/sbin" / tool
        path.parent.mkdir(parents=True)
        path.write_text(STRIKE.format(tool=tool, kill=kill))
        path.chmod(0o755)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Debian 12 with all that ours depend on."""
    with held_root(IMAGES["bookworm"]) as lower:
        root = Root(Path(tmp_path_factory.mktemp("bare")), (lower,))
        source = root.folder / "upper/etc/apt/sources.list"
        source.parent.mkdir(parents=True)
        source.write_text(SOURCE)
        root.run(f"{APT} update")
        yield root


@pytest.fixture(scope="module")
def installed(bare: Root, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Ours in it, and a file that the shop has edited."""
    root = bare.on_top(Path(tmp_path_factory.mktemp("installed")))
    root.run(COMMANDS["install"])
    assert_as_it_should_be(root, VERSION)
    root.run(f"echo '{EDIT.strip()}' >>/etc/hullmark/agent.yaml; mkdir /etc/hullmark/agent.d/x")
    return root


@pytest.fixture
def roots(
    request: pytest.FixtureRequest, bare: Root, installed: Root, tmp_path: Path
) -> Iterator[Callable[[str], Root]]:
    """A new root for each name, in the state that the operation of the test begins with."""
    operation = request.node.callspec.params["operation"]
    before = bare if operation == "install" else installed
    yield lambda name: before.on_top(tmp_path / name)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("operation", COMMANDS)
def test_killed_at_a_step(
    operation: str, roots: Callable[[str], Root], request: pytest.FixtureRequest
) -> None:
    """Every process at once, as by a power loss."""
    steps = roots("all").run_until(COMMANDS[operation], None)
    assert len(steps) > 6
    every = 1 if request.config.getoption("--full") else max(1, len(steps) // 3)
    states = set()

    def interrupt(moment: int) -> None:
        root = roots(f"step-{moment}")
        assert root.run_until(COMMANDS[operation], moment) == steps[: moment + 1]
        states.add(root.run(STATES, check=False))
        recover(root, operation, f"killed at: {steps[moment]}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(interrupt, range(1, len(steps) - 1, every)))
    assert len(states) > 1, "the kills took effect at different moments"


def test_the_page_says_what_ends_a_purge() -> None:
    page = (TREE / "docs/operations/installing.md").read_text()
    assert f"\n{PURGE_REST}\n" in page


@pytest.mark.parametrize("operation", COMMANDS)
def test_killed_in_a_script(operation: str, roots: Callable[[str], Root]) -> None:
    """When a maintainer script calls a tool: all processes, or dpkg alone, and the script goes on after it."""

    def interrupt(tool: str) -> None:
        for name, kill in (("all", KILL_ALL), ("dpkg", KILL_DPKG)):
            if kill == KILL_DPKG and tool != TOOLS[operation][0]:
                continue
            root = roots(f"{tool}-{name}")
            root.strike(tool, kill)
            said = root.run(COMMANDS[operation], check=False)
            assert (root.folder / "upper/struck").is_dir(), f"{tool} was not called:\n{said}"
            recover(root, operation, f"killed {name} in {tool}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(interrupt, TOOLS[operation]))


def test_a_purge_empties_mount_points_and_keeps_them(installed: Root, tmp_path: Path) -> None:
    root = installed.on_top(tmp_path / "root")
    files = {
        "/etc/hullmark/registries.d": "r.yaml",
        "/var/lib/hullmark/agent": "enrolment.json",
        "/var/lib/hullmark/master": "store.sqlite",
        "/var/lib/hullmark-proxy": "haproxy.cfg",
        "/var/log/hullmark": "agent.log",
    }
    mounts = [f"mount -t tmpfs tmpfs {path}; echo >{path}/{name}" for path, name in files.items()]
    left = f"find {' '.join(files)} -mindepth 1; stat -c %m {' '.join(files)}; {STATES} || :"
    said = root.run(f"set -e; {'; '.join(mounts)}; {COMMANDS['purge']}; echo left; {left}")
    kept = said.partition("\nleft\n")[2].splitlines()
    assert kept[: len(files)] == list(files)
    assert [line for line in kept[len(files) :] if "not-installed" not in line] == [
        "dpkg-query: no packages found matching hullmark*"
    ]
    for path in files:
        assert re.search(rf"(emptied|kept) {path}\b.* it is a mount point", said)


def test_a_user_that_is_there_gets_the_group(bare: Root, tmp_path: Path) -> None:
    """Of the services, not for its own."""
    root = bare.on_top(tmp_path / "root")
    root.run(f"useradd --system -g users hullmark && {COMMANDS['install']}")
    found = root.run("id -gn hullmark; stat -c '%U %G' /var/lib/hullmark/master")
    assert found.splitlines() == ["users", "hullmark hullmark"]
    as_service = "--startas /usr/share/hullmark/masterd -- --version"
    root.run(f"start-stop-daemon --start --user hullmark --chuid hullmark:hullmark {as_service}")


def recover(root: Root, operation: str, what: str) -> None:
    """As a person does, and as dpkg and apt say."""
    try:
        said = root.run(f"dpkg --configure -a; {COMMANDS[operation]}", check=False)
        # An instant of dpkg's own, whatever the package: all is unpacked, but not noted so. dpkg asks for exactly this.
        stuck = re.findall(r"(?m)^(\S+) install reinstreq", root.run(STATES, check=False))
        if stuck:
            assert "you should\n reinstall it" in said
            reinstall(root, operation, stuck)
        # Another one: a configuration file is in its place, but its digest is not noted. dpkg takes it for edited.
        notes = root.run(NOTES, check=False)
        unnoted = re.findall(r"(?m)^(\S+)(?: \S+ \S+\n)* \S+ newconffile$", notes)
        if unnoted and operation in ("install", "upgrade"):
            reinstall(root, operation, unnoted)
        if operation == "purge":
            root.run(PURGE_REST)
        if operation in ("install", "upgrade"):
            assert_as_it_should_be(root, VERSION if operation == "install" else NEXT_VERSION)
        if operation != "install":
            edited = root.run("cat /etc/hullmark/agent.yaml", check=False)
            assert (EDIT in edited) == (operation != "purge")
        if operation in ("remove", "purge"):
            assert_gone(root, purged=operation == "purge")
    except AssertionError as error:
        raise AssertionError(f"{operation}, {what}: {error}") from error


def reinstall(root: Root, operation: str, packages: list[str]) -> None:
    version = f"={VERSION}-1" if operation == "install" else ""
    again = " ".join(f"{package}{version}" for package in packages)
    root.run(f"{APT} install --reinstall {again}")


def test_a_configuration_file_that_is_not_noted_is_found_and_mended(
    installed: Root, tmp_path: Path
) -> None:
    """dpkg killed between the two, of which nothing but its notes tells."""
    root = installed.on_top(tmp_path / "root")
    script = "/etc/init.d/hullmark-agent"
    root.run(f"sed -i 's|^ {script} .*| {script} newconffile|' /var/lib/dpkg/status")
    assert f"c {script}\n" in root.run("dpkg --verify hullmark-agent", check=False)
    recover(root, "install", "not noted")


def assert_as_it_should_be(root: Root, version: str) -> None:
    """As after an installation that nobody disturbed."""
    found = root.run(
        "set -e; dpkg-query --show --showformat '${Package} ${Version} ${Status}\\n' 'hullmark*'; dpkg --audit;"
        " dpkg --verify hullmark hullmark-agent hullmark-master hullmark-proxy | grep -v '^??5?????? c /etc/hullmark/agent.yaml$' || :;"
        " hullmark --version; /usr/share/hullmark/masterd --version;"
        " stat -c '%n %A %U %G' /var/lib/hullmark/agent /var/lib/hullmark/master /var/log/hullmark /etc/hullmark/registries.d /var/lib/hullmark-proxy;"
        " grep -c ^hullmark: /etc/passwd; ls /etc/rc2.d | grep -c hullmark;"
        " for unit in agent master proxy; do systemctl is-enabled hullmark-$unit; done;"
        " ls /usr/share/hullmark/hullmark/agentd/__pycache__ | grep -c ^daemon"
    )
    expected = [
        *(f"{package} {version}-1 install ok installed" for package in PACKAGES),
        *(f"hullmark {version}", version),
        "/var/lib/hullmark/agent drwx------ root root",
        "/var/lib/hullmark/master drwx------ hullmark hullmark",
        "/var/log/hullmark drwxr-x--x root adm",
        "/etc/hullmark/registries.d drwx------ root root",
        "/var/lib/hullmark-proxy drwx------ root root",
        *("1", "3", "enabled", "enabled", "enabled", "1"),
    ]
    assert found.splitlines() == expected


def assert_gone(root: Root, *, purged: bool) -> None:
    """What an undisturbed removal leaves: nothing but the user where it is purged; configuration, state and logs else."""
    program = root.run(
        "dpkg --audit; find /usr /lib/systemd/system -name '*hullmark*' -not -path '/usr/local/*'"
    )
    assert program == ""
    state = root.run(
        "find /etc /var -name '*hullmark*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/apt/*'"
    )
    kept = ["/etc/hullmark", "/etc/init.d/hullmark-agent", "/var/lib/hullmark", "/var/log/hullmark"]
    assert [path for path in kept if path in state.splitlines()] == ([] if purged else kept)
    assert not purged or state == ""
    assert root.run("getent passwd hullmark").startswith("hullmark:")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A booted one with a cluster of its own, and an app that runs."""
    made = products()
    with Bed() as bed:
        host = bed.host("web1", "bookworm", engine="docker")
        host.use_repository(made.repo, made.key)
        host.install("hullmark-agent", "hullmark-master")
        host.run("hullmark master init --address 127.0.0.1 && systemctl start hullmark-master")
        host.run("hullmark invite web1 --token-file /root/token")
        host.run("hullmark agent enroll --token-file /root/token && systemctl start hullmark-agent")
        load_image(f"unix://{host.path('/run/docker.sock')}", IMAGE)
        host.write("/root/compose.yaml", COMPOSE)
        host.run("hullmark apply --wait /root/compose.yaml")
        host.use_repository(made.next_repo, made.key)
        yield host


@pytest.mark.parametrize("tool", ["py3compile", "deb-systemd-invoke"])
def test_services_and_containers_outlive_it(host: Host, tool: str) -> None:
    """Upgrade and removal, each killed: before the restart, and in its place. Whatever is left of them, apps run on."""
    containers = running(host)
    host.install(
        *(f"{package}={VERSION}-1" for package in PACKAGES), options=("--allow-downgrades",)
    )
    killed(host, tool, "install", *PACKAGES)
    assert running(host) == containers
    host.run("dpkg --configure -a")
    host.install(*PACKAGES)
    for name in ("agent", "master"):
        wait_until(partial(is_active, host, name), f"{name} runs")
        assert f"hullmark {NEXT_VERSION}" == host.run("hullmark --version").stdout.strip()
    log = host.run("journalctl --no-pager -u hullmark-agent").stdout
    assert re.findall(r"agent: started version=(\S+)", log)[-1] == NEXT_VERSION
    assert running(host) == containers

    killed(host, {"py3compile": "py3clean"}.get(tool, tool), "remove", "hullmark-agent")
    host.run("dpkg --configure -a")
    host.apt("remove", "hullmark-agent")
    assert not is_active(host, "agent")
    assert host.run(["pgrep", "-f", "/usr/share/hullmark/agentd"], check=False).stdout == ""
    assert running(host) == containers

    host.install("hullmark-agent")
    wait_until(lambda: is_active(host, "agent"), "the agent runs")
    wait_until(lambda: all_is_well(host), "all is well", 60.0)
    assert running(host) == containers


def killed(host: Host, tool: str, *command: str) -> None:
    """apt, dpkg and the maintainer script that calls the tool get SIGKILL at that moment."""
    host.run("rm -rf /struck /usr/local/sbin/*")
    host.write(f"/usr/local/sbin/{tool}", STRIKE.format(tool=tool, kill=KILL_ON_HOST), 0o755)
    with pytest.raises(CommandFailed):
        host.apt("-o", PATH_OPTION, *command)
    host.run(f"test -d /struck && rm /usr/local/sbin/{tool}")
    assert host.run(["pgrep", "-x", "apt-get|dpkg"], check=False).stdout == ""


def is_active(host: Host, name: str) -> bool:
    return host.run(f"systemctl is-active hullmark-{name}", check=False).returncode == 0


def running(host: Host) -> str:
    """Process ids of the containers."""
    return host.run("docker inspect -f '{{.Name}} {{.State.Pid}}' $(docker ps -q)").stdout
