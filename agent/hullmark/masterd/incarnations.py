"""Which incarnation is begun next."""

from __future__ import annotations

import json

from hullmark.errors import BrokenState, Refused
from hullmark.masterd.folder import Folder
from hullmark.model.records import ClusterRecord
from hullmark.pki.files import write_file


class Incarnations:
    """The highest incarnation that was begun from this folder: restoring the same snapshot twice must not begin the same one
    twice."""

    def __init__(self, folder: Folder) -> None:
        self._file = folder.path / "incarnation.json"

    def next(self, cluster: ClusterRecord, wanted: int) -> int:
        """`wanted` 0: the lowest that can be right. Raises Refused for one that is too low, BrokenState."""
        lowest = max(cluster.incarnation, self._begun(cluster.cluster_id)) + 1
        if wanted and wanted < lowest:
            raise Refused(
                f"incarnation {wanted} has passed",
                remedy=f"{lowest} or more; left out, it is {lowest}",
            )
        return wanted or lowest

    def remember(self, cluster_id: str, incarnation: int) -> None:
        """Before it is begun. Raises OSError."""
        content = {"cluster_id": cluster_id, "incarnation": incarnation}
        write_file(self._file, json.dumps(content).encode() + b"\n")

    def _begun(self, cluster_id: str) -> int:
        try:
            found = json.loads(self._file.read_bytes())
            return int(found["incarnation"]) if found["cluster_id"] == cluster_id else 0
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenState(
                f"{self._file} can't be read",
                remedy="remove it, and name an incarnation above all former ones: --incarnation N",
            ) from error
