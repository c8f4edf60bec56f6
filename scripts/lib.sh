# Paths and helpers that the scripts share. Sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # used by the scripts that source this file
target=${CARGO_TARGET_DIR:-$root/target}

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# Prints the Debian mirrors that sdbuild itself would use, in its order (src/settings/mirrors.rs).
mirrors() {
  {
    [ -z "${SDBUILD_DEBIAN_MIRROR:-}" ] || echo "$SDBUILD_DEBIAN_MIRROR"
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
      sed -n -e 's/^URIs://p' -e 's/^deb //p' | tr -s '[:blank:]' '\n' | grep -E '^https?://.*/debian/?$' || true
    echo http://ftp.debian.org/debian
  } | sed 's,/*$,,' | awk '!seen[$0]++'
}
