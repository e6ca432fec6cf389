#!/bin/sh
# enter.sh ROOT FOLDER SHARED... -- COMMAND...: run a command in FOLDER inside ROOT, with the SHARED paths at their own places.
# Mounts are those of a namespace: they are gone with the last process in it.
set -eu
if [ "${REBUILD_INSIDE:-}" != yes ]; then
  REBUILD_INSIDE=yes exec unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
fi
unset REBUILD_INSIDE
root=$1 folder=$2
shift 2
for special in proc sys dev; do mkdir -p "$root/$special"; done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
  [ -e "$file" ] || continue
  if [ -d "$file" ]; then mkdir -p "$root$file"; else mkdir -p "$root${file%/*}" && : >>"$root$file"; fi
  mount --bind "$file" "$root$file"
done
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}" && : >>"$root$1"; fi
  mount --bind "$1" "$root$1"
  shift
done
shift
# shellcheck disable=SC2016 # the shell inside expands them
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
