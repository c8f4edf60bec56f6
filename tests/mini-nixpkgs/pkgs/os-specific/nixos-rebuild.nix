{ nix, writeShellScriptBin }:
# The actions of nixpkgs' program that change the machine. Further arguments go to nix-build, such as `-I nixpkgs=DIRECTORY`.
writeShellScriptBin "nixos-rebuild" ''
  set -e
  action=$1
  case $action in
    boot | switch | test) shift ;;
    *)
      echo "usage: nixos-rebuild boot|switch|test [ARGUMENT…]" >&2
      exit 1
      ;;
  esac
  system=$(${nix}/bin/nix-build --no-out-link '<nixpkgs/nixos>' -A system -I nixos-config=/etc/nixos/configuration.nix "$@")
  [ $action = test ] || ${nix}/bin/nix-env -p /nix/var/nix/profiles/system --set "$system"
  exec "$system/bin/switch-to-configuration" $action
''
