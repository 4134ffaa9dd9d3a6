#!/bin/bash
# Build the .rpm packages; on Debian too. The same sources give the same bytes, wherever and whenever this runs.
#
#   packaging/rpm/build.sh [--version V] [--out DIR]
#
#   --version V   the version of the packages and of the program in them; else the one that the sources have
#   --out DIR     where the packages go; else build/rpm
#
# The time in the packages is SOURCE_DATE_EPOCH; else the first second of the day of the newest entry of the spec's changelog.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
checkout=$(realpath "$here/../..")
spec=$here/hullmark.spec

say() { printf 'rpm: %s\n' "$*" >&2; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }

version=
out=$checkout/build/rpm
while [ $# -gt 0 ]; do
    case "$1" in
    --version) version=${2:?--version needs a version} && shift 2 ;;
    --out) out=${2:?--out needs a folder} && shift 2 ;;
    -h | --help) usage && exit 0 ;;
    *) say "unknown option: $1" && usage >&2 && exit 64 ;;
    esac
done
if ! command -v rpmbuild >/dev/null; then
    say 'rpmbuild is missing: tools/setup.sh packages installs it'
    exit 2
fi
own=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$checkout/agent/hullmark/__init__.py")
version=${version:-$own}
if ! [[ $version =~ ^[0-9]+(\.[0-9]+)*$ ]]; then
    say "$version is no version: numbers and dots, such as 0.3.0"
    exit 64
fi

newest=$(sed -n '/^%changelog/,$s/^\* [A-Z][a-z]* \([A-Z][a-z]* [0-9]* [0-9]*\) .*/\1/p' "$spec" | head -n 1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date --utc --date="$newest 00:00" +%s)}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=hullmark-$version
mkdir -p "$work/SOURCES" "$work/$source" "$work/home" "$work/tmp"
cd "$checkout"
packaging/sources.sh | tar --create --null --no-recursion --files-from - |
    tar --extract --directory="$work/$source"
sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$work/$source/agent/hullmark/__init__.py"
# Manual pages and completion are made from the command, with the distribution's Python and libraries.
for what in man completion; do
    (cd "$work/$source" && /usr/bin/python3 -B "packaging/$what/generate.py" --out generated >/dev/null)
done
tar --create --directory="$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
    --mode='u=rwX,go=rX' --mtime="@$SOURCE_DATE_EPOCH" "$source" |
    gzip --no-name >"$work/SOURCES/$source.tar.gz"

# A HOME of its own: nobody's .rpmmacros.
if ! HOME=$work/home rpmbuild -bb --quiet --target noarch \
    --define "_topdir $work" --define "_tmppath $work/tmp" \
    --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "packager Hullmark maintainers <maintainers@hullmark.example>" \
    --define "hullmark_version $version" "$spec" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    say "rpmbuild of $spec failed: see above"
    exit 2
fi
mkdir -p "$out"
rm -f "$out"/hullmark*-"$version"-*.noarch.rpm
for package in "$work"/RPMS/*.rpm; do
    cp "$package" "$out"
    printf '%s\n' "$out/${package##*/}"
done
