"""Compose files to the normalised app of the model.

Owns: which Compose keys are honoured, warned about or refused. Refuses: network and engine.
Invariant: no key is dropped in silence.

Two halves: `project` reads files into one merged document (variables, `extends`, merging, profiles), and
`services` translates that document into the app. `check` judges an app by itself, as a master gets it.
"""

from hullmark.compose.check import check
from hullmark.compose.loading import load
from hullmark.compose.services import Loaded
from hullmark.compose.shown import shown

__all__ = ["Loaded", "check", "load", "shown"]
