"""What journald was told by its configuration, as far as files say: later ones win, as systemd reads them."""

from __future__ import annotations

from hullmark.host.eye import Eye
from hullmark.model.control import Reading

MAIN = (
    "/etc/systemd/journald.conf",
    "/run/systemd/journald.conf",
    "/usr/lib/systemd/journald.conf",
)
FOLDERS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")


def read(eye: Eye, name: str) -> Reading:
    """The reading's text: `Key=value`, one a line, each key once. Empty where all is as journald has it by itself."""
    files = [path for path in MAIN if eye.at(path).exists()][:1]
    # Of two with the same name the one in the later folder counts; all are read in the order of their names.
    added = {
        path.rpartition("/")[2]: path
        for folder in FOLDERS
        for path in eye.paths(f"{folder}/journald.conf.d/*.conf")
    }
    found: dict[str, str] = {}
    for path in [*files, *(added[key] for key in sorted(added))]:
        for line in eye.file("", path).text.splitlines():
            key, is_setting, value = line.strip().partition("=")
            if is_setting and not key.startswith(("#", ";")):
                found[key.strip()] = value.strip()
    text = "\n".join(f"{key}={value}" for key, value in found.items())
    return Reading(name, "journald.conf", text=text, at=eye.wall())
