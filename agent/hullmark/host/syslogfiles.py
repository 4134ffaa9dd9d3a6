"""Which files a syslog daemon writes, as its configuration says: those with a name that never changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hullmark.host.eye import Eye
from hullmark.model.checkkinds.syslogs import RSYSLOG
from hullmark.model.control import Reading, Trouble

FILES_MOST = 64
_DEPTH_MOST = 8
USUAL = {"rsyslog": "/etc/rsyslog.conf", "syslog-ng": "/etc/syslog-ng/syslog-ng.conf"}

# rsyslog. A selector and a file; a further file for the same selector; an action with a file; what is read besides.
_SELECTED = re.compile(r"^[ \t]*[^\s#$&]\S*[ \t]+-?(/[^\s;%#]+)", re.MULTILINE)
_FURTHER = re.compile(r"^[ \t]*&[ \t]+-?(/[^\s;%#]+)", re.MULTILINE)
_ACTION = re.compile(r"\baction\s*\(([^)]*)\)", re.IGNORECASE)
_ACTION_FILE = re.compile(r"\bfile\s*=\s*\"(/[^\"%]+)\"", re.IGNORECASE)
_INCLUDED = re.compile(
    r"^[ \t]*(?:\$IncludeConfig[ \t]+(\S+)|include\s*\([^)]*file\s*=\s*\"([^\"]+)\")",
    re.MULTILINE | re.IGNORECASE,
)
# syslog-ng. A file of a destination (sources have some too).
_DESTINATION = re.compile(r"\bdestination\b[^{;]*\{(.*?)\}\s*;", re.DOTALL)
_FILE = re.compile(r"\bfile\s*\(\s*[\"']?(/[^\"'\s)$]+)[\"']?[\s)]")
_AT_INCLUDE = re.compile(r"^[ \t]*@include[ \t]+[\"']([^\"']+)[\"']", re.MULTILINE)
_REMARK = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)


def written(eye: Eye, name: str, daemon: str, configuration: str) -> Reading:
    """The reading's text are the files, one a line, at most FILES_MOST; its source the configuration that was begun with."""
    first = configuration or USUAL[daemon]
    begun = eye.file(name, first)
    if begun.trouble is not Trouble.NONE:
        return begun
    found: dict[str, None] = {}
    for text in _texts(eye, daemon, first, 0):
        found.update(dict.fromkeys(_of(daemon, text)))
    return Reading(name, first, text="\n".join(list(found)[:FILES_MOST]), at=begun.at)


def _of(daemon: str, text: str) -> list[str]:
    text = _REMARK.sub("", text)
    if daemon == RSYSLOG:
        actions = " ".join(_ACTION.findall(text))
        found = [*_SELECTED.findall(text), *_FURTHER.findall(text), *_ACTION_FILE.findall(actions)]
    else:
        found = [file for each in _DESTINATION.findall(text) for file in _FILE.findall(each)]
    return [file for file in found if not file.startswith(("/dev/", "/proc/"))]


def _texts(eye: Eye, daemon: str, path: str, depth: int) -> Iterator[str]:
    """Of a file of the configuration, and of those that it includes."""
    text = eye.file("", path, most=1 << 20).text
    yield text
    if depth >= _DEPTH_MOST:
        return
    for included in _included(daemon, text, path):
        for each in eye.paths(included)[:FILES_MOST]:
            yield from _texts(eye, daemon, each, depth + 1)


def _included(daemon: str, text: str, path: str) -> Iterator[str]:
    if daemon == RSYSLOG:
        names = [one or other for one, other in _INCLUDED.findall(text)]
    else:
        names = _AT_INCLUDE.findall(text)
    folder = path.rpartition("/")[0]
    for name in names:
        whole = name if name.startswith("/") else f"{folder}/{name}"
        # A folder: all that is in it.
        yield f"{whole.rstrip('/')}/*" if whole.endswith("/") else whole
