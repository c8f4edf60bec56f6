# Boots an image of stand-ins, up to a login over SSH. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # sdbuild, work, image, url and built come from the other parts

# What only a system that boots takes from Debian, besides what a build does.
boot_packages=(dash dbus-user-session libfile-slurp-perl libjson-perl libpam-systemd)

# Downloads and unpacks them once, beside the others of arm64.
debian_boot_packages() {
  local file name
  [ ! -e "$work/debian/boot-ready" ] || return 0
  fetch_packages trixie arm64 all "$work/packages/boot" "${boot_packages[@]}" || die "Debian's packages cannot be downloaded"
  for file in "$work/packages/boot"/*.deb; do
    name=$(basename "$file")
    dpkg-deb -x "$file" "$work/debian/arm64/${name%%_*}"
  done
  : >"$work/debian/boot-ready"
}

# What the booted system is asked: the last line is the answer that counts.
questions='nixos-version
readlink /run/booted-system
systemd-analyze time
systemctl list-units --state=failed --plain --no-legend
systemctl is-system-running --wait'

# Builds `bootable` natively from an empty store, boots it in QEMU, logs in, and asks.
boot_real() {
  local name said
  trap finish EXIT
  configurations
  debian_packages
  debian_boot_packages
  container_image
  # A run that was killed may have left them.
  for name in native plan; do forget_store "$name"; done
  cache bootable
  serve "$work/served"
  [ -e "$work/key" ] || ssh-keygen -q -t ed25519 -N '' -C real -f "$work/key"
  rm -f "$work/figures"
  build native bootable "all that is new" --ssh-key "$work/key.pub"
  timed boot_and_ask
  said=$(cat "$work/said")
  say "$said"
  say "booted, asked and switched off in $(in_seconds "$elapsed") s"
  [ "${said##*$'\n'}" = running ] || die "bootable starts, but not all of its units do"
}

boot_and_ask() {
  # What does not run is no error of the login, but of the answers.
  XDG_STATE_HOME=$work/state "$sdbuild" boot "$built" --login-key "$work/key" --timeout "${SDBUILD_BOOT_TIMEOUT:-900}" \
    --run "$questions || true" >"$work/said" || die "no login to bootable succeeded"
}
