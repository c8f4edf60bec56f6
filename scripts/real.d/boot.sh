# Boots an image of stand-ins, up to a login over SSH. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154,SC2016  # variables come from the other parts, and those of questions from the system

# What the booted system is asked, once it has started: the last line is the answer that counts.
questions='state=$(timeout 300 systemctl is-system-running --wait)
nixos-version
readlink /run/booted-system
systemd-analyze time
systemctl list-units --state=failed --plain --no-legend
echo "$state"'

# Builds `bootable` natively from an empty store, boots it in QEMU, logs in, and asks.
boot_real() {
  local name said
  trap finish EXIT
  configurations
  debian_packages
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
  XDG_STATE_HOME=$work/state "$sdbuild" boot "$built" --board "${SDBUILD_BOOT_BOARD:-virt}" --login-key "$work/key" --timeout "${SDBUILD_BOOT_TIMEOUT:-900}" \
    --run "$questions" >"$work/said" || die "no login to bootable succeeded"
}
