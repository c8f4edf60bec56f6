{ nix, writeShellScriptBin }:
# Of nixpkgs' program one action: a generation for the next boot. Further arguments go to nix-build, such as `-I nixpkgs=DIRECTORY`.
writeShellScriptBin "nixos-rebuild" ''
  set -e
  if [ "$1" != boot ]; then
    echo "usage: nixos-rebuild boot [ARGUMENT…]; the miniature has no other action" >&2
    exit 1
  fi
  shift
  system=$(${nix}/bin/nix-build --no-out-link '<nixpkgs/nixos>' -A system -I nixos-config=/etc/nixos/configuration.nix "$@")
  ${nix}/bin/nix-env -p /nix/var/nix/profiles/system --set "$system"
  exec "$system/bin/switch-to-configuration" boot
''
