#!/bin/bash
# Make a signed apt repository and a signed yum repository, or add packages to those that are there.
#
#   packaging/repo.sh --key FILE --out DIR [--url URL] PACKAGE...
#
#   --key FILE   an exported secret key without a passphrase, of the kind RSA: what signs packages and indexes
#   --out DIR    gets apt/ and yum/; copy both to a web server, or use them where they are
#   --url URL    where DIR will be found by others, for hullmark.sources and hullmark.repo
#   PACKAGE      .deb and .rpm files; older versions that DIR has stay, so that a host can go back
#
# Make such a key:  gpg --batch --passphrase '' --quick-generate-key 'Packages <you@example.net>' rsa4096 sign never
#                   gpg --armor --export-secret-keys you@example.net >key.asc
#
# Repeating it changes nothing. Packages and indexes are the same from every run; signatures, and the Date in
# apt's Release, are of the time when something was new. A run that is killed can be repeated; it leaves a copy of the key
# for its user alone in /tmp/hullmark-repo.*, which is to be removed.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

say() { printf 'repo: %s\n' "$*" >&2; }
fail() { say "$@" && exit 2; }
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }

key= out= url=https://packages.example.net/hullmark packages=()
while [ $# -gt 0 ]; do
    case "$1" in
    --key) key=${2-} && shift && shift || break ;;
    --out) out=${2-} && shift && shift || break ;;
    --url) url=${2-} && shift && shift || break ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 64 ;;
    *) packages+=("$1") && shift ;;
    esac
done
if [ -z "$key" ] || [ -z "$out" ] || [ -z "$url" ] || [ ${#packages[@]} -eq 0 ]; then
    usage >&2
    exit 64
fi
for tool in gpg gpg-agent apt-ftparchive createrepo_c rpmsign; do
    command -v "$tool" >/dev/null || fail "$tool is missing: tools/setup.sh packages installs it"
done
for package in "${packages[@]}"; do
    [ -f "$package" ] || fail "$package: there is no such file"
    [[ $package == *.deb || $package == *.rpm ]] || fail "$package is neither a .deb nor an .rpm"
done

# An agent of this run alone, which ends with it, also where it is killed: gpg-agent watches the command that it started.
if [ -z "${HULLMARK_REPO_GNUPG-}" ]; then
    [ -f "$key" ] || fail "$key: there is no such file; --key takes an exported secret key, see --help"
    HULLMARK_REPO_GNUPG=$(mktemp -d --tmpdir hullmark-repo.XXXXXX)
    export HULLMARK_REPO_GNUPG
    trap 'gpgconf --homedir "$HULLMARK_REPO_GNUPG" --kill gpg-agent; rm -rf "$HULLMARK_REPO_GNUPG"' EXIT
    trap 'exit 130' INT TERM HUP
    gpg-agent --homedir "$HULLMARK_REPO_GNUPG" --quiet --daemon -- \
        "$0" --key "$key" --out "$out" --url "$url" "${packages[@]}" &
    wait $!
    exit
fi
export GNUPGHOME=$HULLMARK_REPO_GNUPG
work=$GNUPGHOME/work
mkdir "$work"
gpg=(gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --digest-algo SHA256)

# --- the key
if ! "${gpg[@]}" --with-colons --show-keys "$key" >"$work/key" 2>/dev/null; then
    fail "$key is no key of gpg; --key takes what gpg --export-secret-keys writes"
fi
case $(grep -c '^sec' "$work/key" || true) in
0) fail "$key has a public key only; --key takes what gpg --export-secret-keys writes" ;;
1) ;;
*) fail "$key has several keys; export the one that is to sign" ;;
esac
# Fields 4 and 3: kind and length; see DETAILS of GnuPG.
if ! awk -F: '$1 == "sec" && $4 == 1 && $3 >= 2048 { found = 1 } END { exit !found }' "$work/key"; then
    fail "$key is not of the kind RSA with 2048 bits or more, which alone every rpm takes, in FIPS mode too; see --help"
fi
fingerprint=$(awk -F: '$1 == "fpr" { print $10; exit }' "$work/key")
# Field 7: when it expires, as seconds since 1970; empty where it never does.
expires=$(awk -F: '$1 == "sec" { print $7 }' "$work/key")
if [[ $expires =~ ^[0-9]+$ ]]; then
    day=$(date --date="@$expires" +%F) now=$(date +%s)
    remedy="gpg --quick-set-expire $fingerprint 2y, export it again, repeat this, and give hosts the public key again"
    [ "$expires" -gt "$now" ] || fail "$key has expired on $day, and no host takes what it signs; to prolong it: $remedy"
    if [ "$expires" -lt $((now + 30 * 86400)) ]; then
        say "warning: $key expires on $day, and from then on no host takes what it has signed; to prolong it: $remedy"
    fi
fi
"${gpg[@]}" --import "$key" 2>"$work/log" || fail "$key can't be imported: $(tail -n 1 "$work/log")"
if ! "${gpg[@]}" --local-user "$fingerprint" --detach-sign --output "$work/try" "$work/key" 2>"$work/log"; then
    if grep -qiE 'passphrase|No pinentry|timeout|cancel' "$work/log"; then
        fail "$key is protected by a passphrase; nobody is here to type it: export a copy without, and keep it as a secret"
    fi
    fail "$key doesn't sign: $(tail -n 1 "$work/log")"
fi

put() { # FILE TARGET: nobody finds half of it, and its time stays
    install -p -m 644 "$1" "$2.part"
    mv "$2.part" "$2"
}
sign() { # FILE SIGNATURE OPTION...
    local file=$1 signature=$2
    shift 2
    "${gpg[@]}" --local-user "$fingerprint" --output "$work/signature" "$@" "$file"
    put "$work/signature" "$signature"
    rm "$work/signature"
}
verified() { # SIGNATURE FILE
    "${gpg[@]}" --status-fd 1 --verify "$1" "$2" 2>/dev/null | grep -q "^\[GNUPG:\] VALIDSIG .*$fingerprint"
}

mkdir -p "$out"
out=$(realpath "$out")
apt=$out/apt yum=$out/yum
pool=pool/main/h/hullmark
mkdir -p "$apt/$pool" "$apt/dists/stable/main" "$yum/packages"
# One at a time; what a killed run has left goes.
exec 9<"$out"
flock 9
find "$out" -name '*.part' -exec rm -rf {} +

# --- packages
other() { fail "$1: $2 is there with other content; hosts that have it wouldn't notice. Give the new one a higher version, or remove $2"; }
rpm_digest() { HOME=$work rpm -qp --nosignature --qf '%{SHA256HEADER}' "$1" 2>/dev/null; }

for package in "${packages[@]}"; do
    name=${package##*/}
    if [[ $name == *.deb ]]; then
        there=$apt/$pool/$name
        if [ ! -e "$there" ]; then
            put "$package" "$there"
        elif ! cmp -s "$package" "$there"; then
            other "$package" "$there"
        fi
        continue
    fi
    there=$yum/packages/$name
    digest=$(rpm_digest "$package") || fail "$package is no rpm package"
    if [ ! -e "$there" ]; then
        install -m 644 "$package" "$work/$name"
        HOME=$work rpmsign --addsign --define "__gpg $(command -v gpg)" \
            --define "_gpg_name $fingerprint" --define "_gpg_digest_algo sha256" \
            --define "_gpg_sign_cmd_extra_args --batch --pinentry-mode loopback --passphrase ''" \
            "$work/$name" >"$work/log" 2>&1 || fail "$package can't be signed: $(tr '\n' ' ' <"$work/log")"
        # The time of the build: what the index says of the file is then the same from every run.
        touch --date="@$(HOME=$work rpm -qp --nosignature --qf '%{BUILDTIME}' "$work/$name")" "$work/$name"
        put "$work/$name" "$there"
    elif [ "$(rpm_digest "$there")" != "$digest" ]; then
        other "$package" "$there"
    fi
done

# --- apt
# Architectures whose apt is to find the packages, which are for all of them.
architectures=(amd64 arm64 armhf i386 ppc64el riscv64 s390x)
cd "$apt"
apt-ftparchive -qq packages pool >"$work/Packages"
gzip -9 --no-name --keep "$work/Packages"
for architecture in "${architectures[@]}"; do
    index=dists/stable/main/binary-$architecture
    mkdir -p "$index/by-hash/SHA256"
    # Found also by what they contain: a client that has read a Release gets the indexes of that very one.
    for name in Packages Packages.gz; do
        put "$work/$name" "$index/by-hash/SHA256/$(sha256sum "$work/$name" | cut -d ' ' -f 1)"
        put "$work/$name" "$index/$name"
    done
done
apt-ftparchive -qq \
    -o APT::FTPArchive::Release::Origin=Hullmark -o APT::FTPArchive::Release::Label=Hullmark \
    -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
    -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Acquire-By-Hash=yes \
    -o APT::FTPArchive::Release::Architectures="${architectures[*]}" \
    -o APT::FTPArchive::Release::Patterns::=Packages -o APT::FTPArchive::Release::Patterns::=Packages.gz \
    -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false -o APT::FTPArchive::SHA512=false \
    release dists/stable | grep -vE '/by-hash/| (In)?Release(\.gpg)?$' >"$work/Release"
release=dists/stable/Release
if ! cmp -s <(grep -v '^Date:' "$work/Release") <(grep -sv '^Date:' "$release") ||
    ! verified "$release.gpg" "$release"; then
    sign "$work/Release" dists/stable/InRelease --clearsign
    put "$work/Release" "$release"
    sign "$release" "$release.gpg" --detach-sign
fi
"${gpg[@]}" --export "$fingerprint" >hullmark.gpg
"${gpg[@]}" --armor --export "$fingerprint" >hullmark.asc
cat >hullmark.sources <<END
# To /etc/apt/sources.list.d/hullmark.sources, and hullmark.asc beside this file to /etc/apt/keyrings/hullmark.asc
Types: deb
URIs: $url/apt
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/hullmark.asc
END

# --- yum
cd "$yum"
revision=$(find packages -name '*.rpm' -printf '%T@\n' | sort -n | tail -n 1 | cut -d . -f 1)
new=$yum/repodata.part
mkdir "$new"
createrepo_c --quiet --no-database --compatibility --retain-old-md 0 --revision "${revision:-0}" \
    --set-timestamp-to-revision --outputdir "$new" . || fail "createrepo_c failed: see above"
if ! cmp -s "$new/repodata/repomd.xml" repodata/repomd.xml ||
    ! verified repodata/repomd.xml.asc repodata/repomd.xml; then
    sign "$new/repodata/repomd.xml" "$new/repodata/repomd.xml.asc" --detach-sign --armor
    [ ! -e repodata ] || mv repodata "$new/old"
    mv "$new/repodata" repodata
fi
rm -rf "$new"
"${gpg[@]}" --armor --export "$fingerprint" >RPM-GPG-KEY-hullmark
cat >hullmark.repo <<END
# To /etc/yum.repos.d/hullmark.repo, and RPM-GPG-KEY-hullmark beside this file to /etc/pki/rpm-gpg/RPM-GPG-KEY-hullmark
[hullmark]
name=Hullmark
baseurl=$url/yum
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-hullmark
END
say "$(find "$apt/$pool" -name '*.deb' | wc -l) .deb in $apt, $(find "$yum/packages" -name '*.rpm' | wc -l) .rpm in $yum"
