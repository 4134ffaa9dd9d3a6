#!/bin/bash
# Install what a checkout needs on a Debian machine, as root. Repeating it costs a fraction of a second.
#
#   tools/setup.sh venv      .venv with the hullmark command and the developer's tools
#   tools/setup.sh demo      what `make demo` needs: a Docker engine, iptables, HAProxy, a static busybox
#   tools/setup.sh engines   what the tests need: Docker, Podman, Compose, HAProxy, a registry, mmdebstrap
#   tools/setup.sh packages  what building the packages and repositories needs
#   tools/setup.sh trials    what trying the packages needs besides: linters, dnf, Ansible, readers of what they ship
#   tools/setup.sh hosts     what booting stock hosts for tests needs
#   tools/setup.sh bench     what the bench needs besides the engines: two programs that make load
#   tools/setup.sh controls  security tools that checks are tried on; those that can't be beside others are unpacked to build/tools
#
# Only missing packages are installed. No service that they bring is started: the tests start engines
# of their own, and a service that ran before keeps running.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# A policy-rc.d of our own, for the time of the installation only; one that is there already stays.
policy=/usr/sbin/policy-rc.d
ours=
keep_services_down() {
    if [ ! -e "$policy" ]; then
        ours=yes
        trap '[ -z "$ours" ] || rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
}

apt_install() { # PACKAGE...
    local missing=() package
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || { say "as root: apt-get install ${missing[*]}"; exit 1; }
    say "installing ${missing[*]}"
    local get=(apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    export DEBIAN_FRONTEND=noninteractive
    keep_services_down
    # The package lists of a fresh machine are absent or name versions that have been replaced.
    "${get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null 2>&1 </dev/null ||
        { "${get[@]}" update && "${get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null; } </dev/null ||
        { say "apt-get can't install ${missing[*]}: see above"; exit 1; }
    # Nor at the next boot.
    local started
    for started in haproxy iperf3 docker-registry auditd rsyslog chrony fail2ban clamav-daemon firewalld ufw nftables unattended-upgrades; do
        if [[ " ${missing[*]} " == *" $started "* ]] && [ -d /run/systemd/system ]; then
            systemctl --quiet disable "$started" || true
            [ "$started" != clamav-daemon ] || systemctl --quiet disable clamav-freshclam || true
        fi
    done
}

setup_venv() {
    # The distribution's own Python: what the packages will run on.
    local python=/usr/bin/python3
    [ -x "$python" ] || python=$(command -v python3 || true)
    if [ -z "$python" ]; then
        apt_install python3 python3-venv
        python=/usr/bin/python3
    elif ! "$python" -c 'import ensurepip' 2>/dev/null; then
        apt_install python3-venv
    fi
    if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        say "making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    local pip=(.venv/bin/python -m pip -qq --disable-pip-version-check)
    # setuptools first: without build isolation pip need not make a second environment.
    say "pip: setuptools and wheel"
    "${pip[@]}" install 'setuptools>=64' wheel
    say "pip: what hullmark and its tests need, which takes a minute or two"
    "${pip[@]}" install --no-build-isolation --editable '.[master,dev]'
    say "done: .venv/bin/hullmark"
}

setup_docker() {
    if ! command -v dockerd >/dev/null; then apt_install docker.io; fi
    apt_install iptables iproute2 busybox-static haproxy
    # Where the kernel has AppArmor switched on, Docker needs its parser.
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then apt_install apparmor; fi
    # A machine without systemd may not have mounted its cgroups.
    if ! grep -q ' cgroup' /proc/mounts; then
        apt_install cgroupfs-mount
        cgroupfs-mount
    fi
}

setup_engines() {
    setup_docker
    # Debian 13 has the command in a package of its own.
    if ! command -v docker >/dev/null; then apt_install docker-cli; fi
    apt_install podman runc conmon catatonit netavark aardvark-dns nftables golang-github-containers-common \
        docker-compose docker-registry libfaketime mmdebstrap debian-archive-keyring ca-certificates util-linux
}

setup_packages() {
    apt_install debhelper dh-python rpm createrepo-c apt-utils gnupg
    # Man pages and completion are made from the command, by the distribution's own Python.
    apt_install python3-click python3-cryptography python3-jinja2 python3-psutil python3-requests python3-rich python3-yaml
}

setup_trials() {
    apt_install lintian rpmlint cpio dnf faketime
    # Debian 12's is just the oldest Ansible that the role is for, and needs no second package index.
    apt_install ansible-core ansible-lint yamllint openssh-client
    # What man pages, completion and the examples for security tools are tried with.
    apt_install man-db mandoc zsh fish aide auditd
}

setup_hosts() {
    apt_install systemd-container
}

setup_bench() {
    setup_engines
    apt_install wrk iperf3
}

fetch_syslog_ng() { # FOLDER
    local needed each
    # What would be installed, not what would be fetched: apt leaves out of that what it has in its cache.
    needed=$(apt-get -qq -s --no-install-recommends install syslog-ng-core rsyslog- |
        sed -n "s/^Inst \([^ ]*\) .*/\1/p")
    [ -n "$needed" ] && mkdir "$1/debs" && chmod 777 "$1/debs" &&
        (cd "$1/debs" && apt-get -qq download $needed && for each in *.deb; do dpkg -x "$each" .. || exit 1; done) &&
        rm -r "$1/debs"
}

setup_controls() {
    # Its installation would have this machine upgrade itself.
    installed unattended-upgrades || [ "$(id -u)" != 0 ] ||
        echo "unattended-upgrades unattended-upgrades/enable_auto_updates boolean false" | debconf-set-selections
    apt_install auditd aide rsyslog logrotate chrony fail2ban clamav-daemon ufw firewalld nftables unattended-upgrades python3-pyinotify
    # Two daemons for syslog can't be installed together: this one is only unpacked.
    local tools=${HULLMARK_CACHE:-build}/tools draft
    if [ ! -e "$tools/syslog-ng/whole" ]; then
        say "unpacking syslog-ng"
        mkdir -p "$tools"
        draft=$(mktemp -d "$tools/draft.XXXXXX")
        chmod 755 "$draft"
        # The package lists may be absent, or name versions that have been replaced, where nothing else was missing.
        if ! fetch_syslog_ng "$draft" 2>/dev/null; then
            rm -rf "$draft/debs"
            apt-get -qq update </dev/null && fetch_syslog_ng "$draft" ||
                { rm -rf "$draft"; say "apt-get can't fetch syslog-ng-core: see above"; exit 1; }
        fi
        touch "$draft/whole"
        rm -rf "$tools/syslog-ng"
        mv "$draft" "$tools/syslog-ng"
    fi
}

case "${1-}" in
venv) setup_venv ;;
demo) setup_docker ;;
engines) setup_engines ;;
packages) setup_packages ;;
trials) setup_trials ;;
hosts) setup_hosts ;;
bench) setup_bench ;;
controls) setup_controls ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 64 ;;
esac
