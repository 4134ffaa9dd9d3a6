"""What has to be right before the master starts: its configuration, and its private keys. Each is a file that a person has to
mend. Whoever it was started as, it then is the owner of its state folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hullmark.config import Loaded, MasterConfig, load_master
from hullmark.errors import BrokenState, InvalidInput, NotFound, NotStarted, Problem
from hullmark.masterd import certificate
from hullmark.masterd.folder import Folder, listening
from hullmark.masterd.owner import become, owner_of
from hullmark.pki import certificates
from hullmark.pki.authority import ROOT_KEY, Authority
from hullmark.pki.files import read_private

REMEDY = (
    "mend what is named, check it by: hullmark config check master; then start the master again. "
    "Nothing was started"
)


def check(config_file: str) -> MasterConfig:
    """The configuration, with what the master listens on. Raises NotStarted."""
    first = _read(config_file, owned=False).config
    owner = owner_of(Path(first.state_dir))
    if owner is not None:
        become(owner, Path(first.socket))
    loaded = _read(config_file, owned=True)
    folder = Folder.of(loaded.config)
    if folder.complete:
        _check_keys(folder.pki)
    return listening(loaded, folder)


def _read(config_file: str, *, owned: bool) -> Loaded[MasterConfig]:
    try:
        return load_master(config_file, owned=owned)
    except InvalidInput as error:
        raise NotStarted(error.problems, remedy=REMEDY) from error


def _check_keys(pki: Path) -> None:
    """The authority's, the root's where it is still here, and the master's own, which is made anew where it is missing."""
    try:
        Authority.load(pki)
        with contextlib.suppress(NotFound):
            certificates.load_key(pki / certificate.KEY)
        with contextlib.suppress(NotFound):
            read_private(pki / ROOT_KEY)
    except (BrokenState, NotFound) as error:
        remedy = error.remedy or f"restore {pki} from a copy of the master's folder"
        raise NotStarted([Problem(error.message)], remedy=remedy) from error
    except OSError as error:
        problem = Problem(error.strerror or str(error), file=str(error.filename or pki))
        raise NotStarted([problem], remedy=REMEDY) from error
