from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.errors import BrokenState
from hullmark.model.epoch import Epoch
from hullmark.pki import files


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "epoch.json"
    assert files.read_document(Epoch, file) is None
    files.write_document(file, Epoch(2, 7))
    assert files.read_document(Epoch, file) == Epoch(2, 7)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"incarnation": "x"}'])
def test_a_document_that_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "epoch.json"
    file.write_bytes(content)
    with pytest.raises(BrokenState, match=r"epoch\.json can't be read"):
        files.read_document(Epoch, file)
