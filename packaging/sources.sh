#!/bin/bash
# List the files of this tree that packages are made from, each ended by a zero byte: build.sh of both kinds takes these.
# They are chosen by kind and place, so that nothing that lies about in a working tree gets into a package.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    find agent/hullmark -type f \( -name '[!.]*.py' -o -name '[!.]*.j2' \) -print0
    find docs -type f -name '[!.]*.md' -print0
    # What makes the packages; they have of it what debian/ and hullmark.spec name.
    find packaging -type f ! -name '*.pyc' -print0
    printf '%s\0' conf/agent.yaml conf/master.yaml conf/examples/31_aide_hullmark conf/examples/hullmark.rules
    find conf/controls.d conf/frameworks conf/policies -type f -name '[!.]*.yaml' -print0
    printf '%s\0' LICENSE README.md CHANGELOG.md SECURITY.md
} | LC_ALL=C sort -z
