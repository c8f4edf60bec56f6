# Every format of both systems, evaluated on a real nixpkgs by `sdbuild build --dry-run`. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # variables of scripts/real-nixpkgs

# evaluate_formats [NAME]… : a line of a table for each format and system, in a store volume of its own. Fails if a format is not
# evaluated, or if one of its derivations needs KVM, which the builder does not have.
evaluate_formats() {
  local names=("$@") name system bad=
  files=$(mktemp -d)
  store=sdbuild-store-formats-$$
  trap 'rm -rf "$files"; docker volume rm --force "$store" >/dev/null' EXIT
  export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache} HOME=$files
  unset XDG_CONFIG_HOME XDG_STATE_HOME
  [ $# -gt 0 ] || mapfile -t names < <("$sdbuild" formats --json | jq -r '.formats[].name')
  echo "| format | system | derivations | of them for the image's system, emulated | need KVM | seconds |"
  echo "| --- | --- | --- | --- | --- | --- |"
  for name in "${names[@]}"; do
    for system in aarch64-linux x86_64-linux; do
      [ "$name $system" = "sd-card x86_64-linux" ] || evaluate_format "$name" "$system" || bad="$bad $name for $system,"
    done
  done
  [ -z "$bad" ] || die "not evaluated, or not without KVM:${bad%,}"
}

# evaluate_format NAME SYSTEM : one line.
evaluate_format() {
  local start=$EPOCHREALTIME forecast drv kvm seconds
  format_configuration "$1" "$2" >"$files/sd-card.nix"
  forecast=$(cd "$files" && SDBUILD_SUBSTITUTERS='' SDBUILD_STORE=$store "$sdbuild" build --nixpkgs "$checkout" --format "$1" \
    --system "$2" --dry-run --json 2>"$files/log") || {
    grep -A 12 '^error: ' "$files/log" >&2
    return 1
  }
  seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.0f", b - a }')
  drv=$(jq -er .forecast.derivation <<<"$forecast") || die "the forecast of $1 names no derivation"
  kvm=$(need_kvm "$drv") || die "the derivations of $1 cannot be read"
  echo "| \`$1\` | $2 | $(jq .forecast.build <<<"$forecast") | $(jq .forecast.emulate <<<"$forecast") | $kvm | $seconds |"
  [ "$kvm" = 0 ]
}

# need_kvm DERIVATION : how many derivations of its graph need KVM, by a variable or by structured attributes.
need_kvm() {
  # shellcheck disable=SC2016  # $1 and $all are the container's
  evaluator --volume "$store:/nix" "$image" sh -euc '
    all=$(nix-store -qR "$1" | grep "\.drv$")
    [ -n "$all" ]
    printf "%s\n" $all | xargs grep -lE "requiredSystemFeatures(\",\"[^\"]*|\\\\\":\[[^]]*)kvm" | wc -l' sh "$1"
}

# format_configuration NAME SYSTEM : a small system, for a card, a disk, or without a disk.
format_configuration() {
  echo "{ config, lib, pkgs, modulesPath, ... }: {"
  echo "  networking.hostName = \"formats\"; services.openssh.enable = true; system.stateVersion = \"26.05\";"
  echo "  nixpkgs.hostPlatform = \"$2\";"
  case $1 in
    sd-card) echo "  imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];" ;;
    raw-efi | qcow2 | vmdk | vhd | amazon)
      echo '  fileSystems."/" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; };'
      echo '  boot.loader.systemd-boot.enable = true;'
      ;;
  esac
  echo "}"
}
