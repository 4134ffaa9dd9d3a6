"""The signed repositories: apt and dnf take what is in them, and refuse what was changed on the way or signed by nobody."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Optional, Union

import pytest

from tests.cluster import wait_until
from tests.packaging import rhel
from tests.packaging.products import NEXT_VERSION, TREE, VERSION, Products, products

SCRIPT = TREE / "packaging/repo.sh"
AGENT_DEB = f"hullmark-agent_{VERSION}-1_all.deb"
AGENT_RPM = f"hullmark-agent-{VERSION}-1.noarch.rpm"
Done = subprocess.CompletedProcess[str]


def run(*command: Union[str, Path], cwd: Optional[Path] = None, **more: str) -> Done:
    """Exit code and output are the caller's to judge."""
    words = [str(word) for word in command]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **more}
    return subprocess.run(
        words,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def made() -> Products:
    return products()


@pytest.fixture(scope="module")
def secret_key(made: Products) -> Path:
    return made.folder / "secret-key.asc"


@pytest.fixture
def repository(made: Products, tmp_path: Path) -> Path:
    """A copy to be tampered with."""
    folder = tmp_path / "repository"
    shutil.copytree(made.repo, folder)
    return folder


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages = rhel.FAMILIES["el9"].packages
    return rhel.build_stand_ins(packages, tmp_path_factory.mktemp("stand-ins") / "made")


# --- apt


def apt(repository: Path, folder: Path, key: Path) -> Done:
    """Update from this repository alone, as its own file tells a user to; then fetch the agent's package."""
    for name in ("sources", "state/lists/partial", "cache/archives/partial", "trusted"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    text = (repository / "apt/hullmark.sources").read_text()
    text = re.sub(r"URIs: .*/apt", f"URIs: file://{repository}/apt", text)
    text = text.replace("/etc/apt/keyrings/hullmark.asc", str(key))
    (folder / "sources/hullmark.sources").write_text(text)
    options = [
        *("Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={folder}/sources"),
        *("Dir::Etc::trusted=/dev/null", f"Dir::Etc::trustedparts={folder}/trusted"),
        *(f"Dir::State={folder}/state", f"Dir::State::status={folder}/status"),
        *(f"Dir::Cache={folder}/cache", "APT::Sandbox::User=root"),
    ]
    get = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    updated = run(*get, "update", "--error-on=any")
    if updated.returncode:
        return updated
    fetched = run(*get, "download", "hullmark-agent", cwd=folder)
    fetched.stdout = updated.stdout + fetched.stdout
    return fetched


def test_apt_takes_what_is_signed(made: Products, repository: Path, tmp_path: Path) -> None:
    done = apt(repository, tmp_path / "apt", made.key)
    assert done.returncode == 0, done.stdout
    assert not re.search(r"^[WEN]: ", done.stdout, re.M), done.stdout
    assert (tmp_path / "apt" / AGENT_DEB).read_bytes() == made.deb("hullmark-agent").read_bytes()


def test_the_binary_key_does_as_well(repository: Path, tmp_path: Path) -> None:
    done = apt(repository, tmp_path / "apt", repository / "apt/hullmark.gpg")
    assert done.returncode == 0, done.stdout


def change_package(apt_folder: Path) -> None:
    flip(apt_folder / "pool/main/h/hullmark" / AGENT_DEB)


def change_index(apt_folder: Path) -> None:
    """Each copy of Packages names another file as the agent's."""
    for index in apt_folder.glob("dists/stable/main/binary-*"):
        for file in (index / "Packages", *index.glob("by-hash/SHA256/*")):
            if file.read_bytes()[:2] != b"\x1f\x8b":
                rewrite(file, "Version: 0", "Version: 9")
        for file in (index / "Packages.gz", *index.glob("by-hash/SHA256/*")):
            if file.read_bytes()[:2] == b"\x1f\x8b":
                text = gzip.decompress(file.read_bytes()).decode()
                file.write_bytes(gzip.compress(text.replace("Version: 0", "Version: 9").encode()))


def change_release(apt_folder: Path) -> None:
    for name in ("InRelease", "Release"):
        rewrite(apt_folder / "dists/stable" / name, "Origin: Hullmark", "Origin: Hullmork")


def remove_signatures(apt_folder: Path) -> None:
    for name in ("InRelease", "Release.gpg"):
        (apt_folder / "dists/stable" / name).unlink()


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (change_package, "Hash Sum mismatch"),
        (change_index, "File has unexpected size|Hash Sum mismatch"),
        (change_release, "BADSIG"),
        (remove_signatures, "is not signed"),
    ],
)
def test_apt_refuses_what_was_changed(
    made: Products,
    repository: Path,
    tmp_path: Path,
    tamper: Callable[[Path], None],
    said: str,
) -> None:
    tamper(repository / "apt")
    done = apt(repository, tmp_path / "apt", made.key)
    assert done.returncode != 0, done.stdout
    assert re.search(said, done.stdout), done.stdout
    assert not (tmp_path / "apt" / AGENT_DEB).exists()


def test_apt_refuses_another_key(repository: Path, tmp_path: Path, other_key: Path) -> None:
    public = tmp_path / "other.asc"
    public.write_text(public_of(other_key, tmp_path))
    done = apt(repository, tmp_path / "apt", public)
    assert done.returncode != 0
    assert "NO_PUBKEY" in done.stdout


# --- dnf


def dnf(
    repository: Path,
    stand_ins: Path,
    folder: Path,
    *,
    key: Optional[Path] = None,
    repo_gpgcheck: bool = True,
) -> Done:
    """Install the agent's package into a root of its own, without scriptlets: test_rpm.py runs those. `key`: instead of
    the repository's own."""
    for name in ("repos", "log"):
        (folder / name).mkdir(parents=True)
    text = (repository / "yum/hullmark.repo").read_text()
    text = re.sub(r"baseurl=.*/yum", f"baseurl=file://{repository}/yum", text)
    key = key or repository / "yum/RPM-GPG-KEY-hullmark"
    text = text.replace("file:///etc/pki/rpm-gpg/RPM-GPG-KEY-hullmark", f"file://{key}")
    assert {"gpgcheck=1", "repo_gpgcheck=1", f"gpgkey=file://{key}"} <= set(text.splitlines())
    if not repo_gpgcheck:
        text = text.replace("repo_gpgcheck=1", "repo_gpgcheck=0")
    (folder / "repos/hullmark.repo").write_text(text)
    there = rhel.STAND_INS_REPO.replace(f"file://{rhel.STAND_INS}", f"file://{stand_ins}")
    (folder / "repos/stand-ins.repo").write_text(there)
    options = [f"{name}dir={folder}/{name}" for name in ("repos", "cache", "log", "persist")]
    options += ["tsflags=noscripts", "releasever=9", "plugins=0"]
    set_options = [f"--setopt={option}" for option in options]
    install = ["dnf", "-y", f"--installroot={folder}/root", *set_options, "install"]
    # The agent that it starts for its keys ends with its namespace.
    apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    return run(*apart, *install, "hullmark-agent", HOME="/root")


def test_dnf_takes_what_is_signed(repository: Path, stand_ins: Path, tmp_path: Path) -> None:
    done = dnf(repository, stand_ins, tmp_path / "dnf")
    assert done.returncode == 0, done.stdout
    assert "Importing GPG key" in done.stdout
    assert (tmp_path / "dnf/root/usr/share/hullmark/hullmark/agentd").is_dir()


def change_rpm(yum: Path) -> None:
    flip(yum / "packages" / AGENT_RPM)


def change_repodata(yum: Path) -> None:
    [primary] = (yum / "repodata").glob("*-primary.xml.gz")
    flip(primary)


def change_repomd(yum: Path) -> None:
    """Whole and consistent, for a package of somebody else's: only the signature is wrong."""
    flip(yum / "packages" / AGENT_RPM)
    signature = (yum / "repodata/repomd.xml.asc").read_bytes()
    subprocess.run(["createrepo_c", "--quiet", "--no-database", str(yum)], check=True)
    (yum / "repodata/repomd.xml.asc").write_bytes(signature)


def remove_signature(yum: Path) -> None:
    (yum / "repodata/repomd.xml.asc").unlink()


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (change_rpm, f'"{AGENT_RPM[:-4]}" from .* has incorrect checksum'),
        (change_repodata, "checksum doesn't match|Checksum"),
        (change_repomd, "[Bb]ad (PGP|GPG) signature"),
        (remove_signature, "repomd.xml.asc|GPG verification is enabled, but GPG signature"),
    ],
)
def test_dnf_refuses_what_was_changed(
    repository: Path, stand_ins: Path, tmp_path: Path, tamper: Callable[[Path], None], said: str
) -> None:
    tamper(repository / "yum")
    done = dnf(repository, stand_ins, tmp_path / "dnf")
    assert done.returncode != 0, done.stdout
    assert re.search(said, done.stdout), done.stdout
    assert not (tmp_path / "dnf/root/usr/share/hullmark").exists()


def test_dnf_refuses_a_package_without_signature(
    made: Products, repository: Path, stand_ins: Path, tmp_path: Path
) -> None:
    """Even from a repository that is taken at its word: packages are signed one by one."""
    for package in made.rpms:
        shutil.copy(package, repository / "yum/packages")
    create = ["createrepo_c", "--quiet", "--no-database", str(repository / "yum")]
    subprocess.run(create, check=True)
    done = dnf(repository, stand_ins, tmp_path / "dnf", repo_gpgcheck=False)
    assert done.returncode != 0, done.stdout
    assert "is not signed" in done.stdout
    assert not (tmp_path / "dnf/root/usr/share/hullmark").exists()


@pytest.mark.parametrize("repo_gpgcheck", [True, False])
def test_dnf_refuses_another_key(
    repository: Path, stand_ins: Path, tmp_path: Path, other_key: Path, repo_gpgcheck: bool
) -> None:
    public = tmp_path / "other.asc"
    public.write_text(public_of(other_key, tmp_path))
    folder = tmp_path / "dnf"
    done = dnf(repository, stand_ins, folder, key=public, repo_gpgcheck=repo_gpgcheck)
    assert done.returncode != 0, done.stdout
    said = "is not installed" if not repo_gpgcheck else "signing key not found|[Bb]ad .*signature"
    assert re.search(said, done.stdout), done.stdout
    assert not (folder / "root/usr/share/hullmark").exists()


# --- repo.sh


@pytest.fixture(scope="module")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("other") / "key.asc")


def new_key(
    file: Path, kind: str = "rsa2048", passphrase: str = "", expires: str = "never"
) -> Path:
    """`expires`: as gpg has it; a day in the past: of a key that was made the day before."""
    gpg = f"gpg --batch --quiet --pinentry-mode loopback --passphrase '{passphrase}'"
    if expires.startswith("20"):
        day = date.fromisoformat(expires[:10])
        gpg += f" --faked-system-time {day - timedelta(days=1):%Y%m%d}T000000"
    made = f"{gpg} --quick-generate-key 'Other <other@hullmark.example>' {kind} sign {expires}"
    in_gnupg(f"{made} && {gpg} --armor --export-secret-keys", file)
    return file


def public_of(secret: Path, folder: Path) -> str:
    gpg = "gpg --batch --quiet"
    public = folder / "public.asc"
    in_gnupg(f"{gpg} --import '{secret}' && {gpg} --armor --export", public)
    return public.read_text()


def in_gnupg(script: str, out: Path) -> None:
    """A home of its own in a short path, and an agent that ends with the script."""
    home = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        agent = ["gpg-agent", "--homedir", str(home), "--quiet", "--daemon", "--", "sh", "-c"]
        with out.open("w") as file:
            subprocess.run(
                [*agent, script],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.PIPE,
                env={**os.environ, "GNUPGHOME": str(home)},
            )
    finally:
        shutil.rmtree(home)


def sign(key: Path, out: Path, *packages: Path) -> Done:
    return run(SCRIPT, "--key", key, "--out", out, *packages)


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_repeated_it_changes_nothing(made: Products, secret_key: Path, repository: Path) -> None:
    before = listing(repository)
    done = sign(secret_key, repository, *made.debs, *made.rpms)
    assert done.returncode == 0, done.stdout
    assert listing(repository) == before


def test_made_twice_the_files_have_the_same_names_and_only_signed_ones_differ(
    made: Products, secret_key: Path, tmp_path: Path
) -> None:
    done = sign(secret_key, tmp_path / "again", *made.debs, *made.rpms)
    assert done.returncode == 0, done.stdout
    one, other = listing(made.repo), listing(tmp_path / "again")
    names = [
        {re.sub(r"[0-9a-f]{64}-", "", name) for name in each if "by-hash" not in name}
        for each in (one, other)
    ]
    assert names[0] == names[1]
    assert len(one) == len(other)
    differ = {name for name in one.keys() & other.keys() if one[name] != other[name]}
    # Release has a date; a signature is in each .rpm, so that what lists their hashes differs too.
    signed = r"apt/dists/stable/(In)?Release(\.gpg)?|yum/packages/.*\.rpm|yum/repodata/.*"
    assert [name for name in differ if not re.fullmatch(signed, name)] == []


def test_an_added_version_leaves_the_older_one(
    made: Products, secret_key: Path, repository: Path, stand_ins: Path, tmp_path: Path
) -> None:
    before = listing(repository)
    done = sign(secret_key, repository, *made.next_debs, *made.next_rpms)
    assert done.returncode == 0, done.stdout
    after = listing(repository)
    for name, content in before.items():
        if name.endswith((".deb", ".rpm")):
            assert after[name] == content
    index = after["apt/dists/stable/main/binary-amd64/Packages"].decode()
    found = re.findall(r"^Version: (.*)-1$", index, re.M)
    assert sorted(found) == sorted([VERSION, NEXT_VERSION] * len(made.debs))
    assert dnf(repository, stand_ins, tmp_path / "dnf").returncode == 0
    newest = "usr/share/hullmark/hullmark/__init__.py"
    assert NEXT_VERSION in (tmp_path / "dnf/root" / newest).read_text()


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_other_content_under_the_same_name_is_refused(
    made: Products, secret_key: Path, repository: Path, tmp_path: Path, kind: str
) -> None:
    before = listing(repository)
    other, name = {
        "deb": (made.next_deb("hullmark-agent"), AGENT_DEB),
        "rpm": (made.next_rpms[0], AGENT_RPM),
    }[kind]
    shutil.copy(other, tmp_path / name)
    done = sign(secret_key, repository, tmp_path / name)
    assert done.returncode == 2
    assert f"{name} is there with other content" in done.stdout
    assert "higher version" in done.stdout
    assert listing(repository) == before


def test_unusable_keys_are_refused_and_nothing_is_made(
    made: Products, other_key: Path, tmp_path: Path
) -> None:
    (tmp_path / "public.asc").write_text(public_of(other_key, tmp_path))
    (tmp_path / "text.asc").write_text("no key\n")
    new_key(tmp_path / "locked.asc", passphrase="secret")
    new_key(tmp_path / "ed25519.asc", kind="ed25519")
    new_key(tmp_path / "short.asc", kind="rsa1024")
    new_key(tmp_path / "expired.asc", expires="2024-02-29")
    both = tmp_path / "both.asc"
    both.write_text(other_key.read_text() + new_key(tmp_path / "second.asc").read_text())
    for name, said in {
        "absent.asc": "there is no such file",
        "text.asc": "is no key of gpg",
        "public.asc": "has a public key only",
        "locked.asc": "is protected by a passphrase",
        "ed25519.asc": "is not of the kind RSA",
        "short.asc": "with 2048 bits or more",
        "both.asc": "has several keys",
        "expired.asc": "has expired on 2024-02-29",
    }.items():
        done = sign(tmp_path / name, tmp_path / "out", *made.debs, *made.rpms)
        assert done.returncode == 2, done.stdout
        assert f"{name}" in done.stdout
        assert said in done.stdout
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
def test_a_key_that_expires_soon_is_warned_of(
    made: Products, tmp_path: Path, days: int, warned: bool
) -> None:
    key = new_key(tmp_path / "key.asc", expires=f"{days}d")
    done = sign(key, tmp_path / "out", made.deb("hullmark"))
    assert done.returncode == 0, done.stdout
    found = re.search(r"warning: .*/key\.asc expires on (\d{4}-\d\d-\d\d), .*", done.stdout)
    assert bool(found) is warned, done.stdout
    if found:
        left = date.fromisoformat(found[1]) - datetime.now(timezone.utc).date()
        assert left.days in (days - 1, days)
        assert "gpg --quick-set-expire" in found[0]


def test_neither_the_secret_nor_an_agent_is_left(
    made: Products, secret_key: Path, tmp_path: Path
) -> None:
    """Where nobody else works meanwhile: /tmp is one of its own."""
    own = tmp_path / "tmp"
    own.mkdir()
    out = tmp_path / "out"
    done = run(SCRIPT, "--key", secret_key, "--out", out, *made.rpms, TMPDIR=str(own))
    assert done.returncode == 0, done.stdout
    assert list(own.iterdir()) == []
    # It was told to, and answers before it does.
    wait_until(lambda: not running_in(own), "the agent of gpg ends")
    # Before and behind them is what the public key has as well.
    secrets = secret_key.read_text().splitlines()[15:25]
    assert len(secrets[-1]) == 64
    for content in listing(out).values():
        assert b"PRIVATE KEY" not in content
        assert all(line.encode() not in content for line in secrets)


@pytest.mark.parametrize(
    "made_by_then",
    [
        f"apt/pool/main/h/hullmark/hullmark_{NEXT_VERSION}-1_all.deb",
        f"yum/packages/hullmark-agent-{NEXT_VERSION}-1.noarch.rpm",
        "apt/dists/stable/main/binary-arm64/by-hash/SHA256/*",
        "yum/repodata.part",
    ],
)
def test_killed_at_any_moment_a_rerun_ends_well(
    made: Products,
    secret_key: Path,
    repository: Path,
    stand_ins: Path,
    tmp_path: Path,
    made_by_then: str,
) -> None:
    before = set(repository.glob(made_by_then))
    packages = [*made.next_debs, *made.next_rpms]
    own = tmp_path / "tmp"
    own.mkdir()
    words = [SCRIPT, "--key", secret_key, "--out", repository, *packages]
    with subprocess.Popen(
        [str(word) for word in words],
        env={**os.environ, "TMPDIR": str(own)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while set(repository.glob(made_by_then)) == before:
            assert process.poll() is None
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert sign(secret_key, repository, *packages).returncode == 0
    assert not list(repository.rglob("*.part"))
    assert apt(repository, tmp_path / "apt", made.key).returncode == 0
    assert dnf(repository, stand_ins, tmp_path / "dnf").returncode == 0
    wait_until(lambda: not running_in(own), "the agent of gpg ends by itself")


def running_in(folder: Path) -> list[Path]:
    """Processes that have it among their arguments."""
    return [one for one in Path("/proc").glob("[0-9]*") if str(folder) in arguments_of(one)]


def arguments_of(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def flip(file: Path) -> None:
    """Another byte at nine tenths of it."""
    content = bytearray(file.read_bytes())
    content[len(content) * 9 // 10] ^= 0xFF
    file.write_bytes(content)


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("key", "told"), [("", "make repo KEY=FILE"), ("KEY=/none.asc", "/none.asc: there is no such")]
)
def test_make_asks_for_the_key_before_it_builds(key: str, told: str) -> None:
    make = ("make", "--no-print-directory", "repo")
    done = run(*make, *key.split(), cwd=TREE, MAKEFLAGS="", KEY="")
    assert done.returncode == 2
    first, *rest = done.stdout.splitlines()
    assert told in first
    assert len(rest) == 1, "and make's own line"


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_an_unknown_option_is_named(kind: str) -> None:
    done = run(TREE / f"packaging/{kind}/build.sh", "--bogus")
    assert done.returncode == 64
    assert "unknown option: --bogus" in done.stdout.splitlines()[0]
