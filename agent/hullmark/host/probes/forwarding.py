"""Whether this host's log daemons are configured to send logs away, as their files say."""

from __future__ import annotations

import re

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

FILES = (
    "/etc/rsyslog.conf",
    "/etc/rsyslog.d/*.conf",
    "/etc/syslog-ng/syslog-ng.conf",
    "/etc/syslog-ng/conf.d/*.conf",
    "/etc/systemd/journal-upload.conf",
)
# rsyslog: `*.* @host`, `@@host`, omfwd, omrelp. syslog-ng: network(), syslog(), tcp(), udp() as destinations. systemd-journal-upload: URL=.
_SENDS = re.compile(
    r"""^[^#\n]*?(?:
        [\w.*,;!=/-]+ \s+ -? @{1,2} \(?[\w\[(.:]
      | type \s* = \s* "?(?:omfwd|omrelp|omgssapi)
      | :om(?:relp|gssapi):
      | \b(?:network|syslog|tcp|udp|tcp6|udp6) \s* \( \s* "[^"]+
      | ^ \s* URL \s* = \s* \S
    )""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
FILES_MOST = 50


def configured(eye: Eye) -> Reading:
    """The lines that send logs away, each with its file."""
    paths = [path for pattern in FILES for path in eye.paths(pattern)][:FILES_MOST]
    lines: list[str] = []
    for path in paths:
        file = eye.file("file", path)
        if file.trouble in (Trouble.DENIED, Trouble.FAILED):
            return Reading("configured", path, errors=file.errors, trouble=file.trouble, at=file.at)
        lines += [f"{path}: {found.group(0).strip()}" for found in _SENDS.finditer(file.text)]
    return Reading("configured", ", ".join(FILES), text="\n".join(lines), at=eye.wall())
