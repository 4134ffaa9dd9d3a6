#!/bin/bash
# Build the .deb packages from this tree, whatever state it is in: no network, no history, no root needed.
#
#   packaging/deb/build.sh [--version V] [--out DIR]
#
# --version V   a package of another version than the tree's, to try upgrades with
# --out DIR     where *.deb, *.buildinfo and *.changes go; default: build/deb
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf 'packaging/deb/build.sh: %s\n' "$*" >&2; exit 2; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' packaging/deb/build.sh; }

version=
out=build/deb
while [ $# -gt 0 ]; do
    case "$1" in
    --version) version=${2:?--version needs a value}; shift 2 ;;
    --out) out=${2:?--out needs a value}; shift 2 ;;
    -h | --help) usage && exit 0 ;;
    *) printf 'packaging/deb/build.sh: unknown option: %s\n' "$1" >&2 && usage >&2 && exit 64 ;;
    esac
done
for tool in dpkg-buildpackage dh dh_python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install dpkg-dev debhelper dh-python"
done

# What the caller's environment says must not show in the packages.
umask 022
export LC_ALL=C.UTF-8 TZ=UTC PYTHONDONTWRITEBYTECODE=1
unset PYTHONPATH DEB_BUILD_OPTIONS DEB_BUILD_PROFILES MAKEFLAGS MAKELEVEL MFLAGS

mkdir -p "$out"
out=$(cd "$out" && pwd)
# Not below this tree: debhelper knows no blanks in the names of folders.
work=$(mktemp -d -t hullmark-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
source=$work/hullmark
mkdir "$source"

packaging/sources.sh | tar --create --null --no-recursion --files-from - --mode 'u+rw,go+r-w,a+X' |
    tar --extract --directory "$source" --no-same-owner --no-same-permissions
cp -r packaging/deb/debian "$source/debian"

own=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' agent/hullmark/__init__.py)
[ -n "$own" ] || fail "agent/hullmark/__init__.py names no __version__"
if [ -n "$version" ] && [ "$version" != "$own" ]; then
    sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$source/agent/hullmark/__init__.py"
    sed "s/^hullmark ([^)]*)/hullmark ($version-1)/" packaging/deb/debian/changelog >"$source/debian/changelog"
fi
[[ "$(dpkg-parsechangelog -l "$source/debian/changelog" -S Version)" == "${version:-$own}"-* ]] ||
    fail "packaging/deb/debian/changelog is of another version than agent/hullmark/__init__.py ($own)"

SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$source/debian/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH
find "$source" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
cd "$source"
log=$work/log
# Unasked for what is missing, as it would ask for a compiler too (build-essential), and nothing here is compiled.
dpkg-buildpackage -b -us -uc -d >"$log" 2>&1 || { cat "$log" >&2; fail "the build failed: see above"; }
cp "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$out"
printf 'built in %s:' "$out"
(cd "$work" && printf ' %s' *.deb)
echo
