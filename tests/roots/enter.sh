#!/bin/sh
# Run a command in a root, from within fresh mount, network and process namespaces: enter.sh ROOT CHECKOUT COMMAND...
set -eu
root=$1 checkout=$2
shift 2
ip link set lo up
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
mount --bind "$checkout" "$root/checkout"
mount -o remount,bind,ro "$root/checkout"
exec env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8 CI="${CI-}" \
    PYTHONPATH=/checkout/agent:/checkout \
    chroot "$root" sh -c 'cd /checkout && exec "$@"' sh "$@"
