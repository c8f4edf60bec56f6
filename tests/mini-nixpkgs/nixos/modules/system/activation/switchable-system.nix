# Changing a machine while it runs, and what it starts next.
{ config, lib, pkgs, ... }:
let
  loader = config.boot.loader;
  script = pkgs.writeShellScript "switch-to-configuration" ''
    set -e
    export PATH=${pkgs.busybox}/bin
    if [ ! -e /etc/NIXOS ]; then
      echo "This is not a NixOS installation!" >&2
      exit 1
    fi
    case $1 in
      boot | switch | test | dry-activate) action=$1 ;;
      *)
        echo "Usage: switch-to-configuration [switch|boot|test|dry-activate]" >&2
        exit 1
        ;;
    esac
    # The services are the lines that activation writes for init. A dry activation does not know them before it has happened.
    if [ $action = dry-activate ]; then
      echo "would activate the configuration..."
      exit
    fi
    if [ $action != test ]; then
      ${config.system.build.installBootLoader} @out@
    fi
    [ $action != boot ] || exit 0
    echo "activating the configuration..."
    ln -sfn @out@ /run/current-system
    @out@/activate
    ${config.system.build.consoles}
    if cmp -s /run/inittab /etc/inittab; then exit; fi
    # What stays as it was goes on, so that the connection over which this was started does.
    grep -vxFf /run/inittab /etc/inittab | sed 's/^::respawn:/stopping /' || true
    grep -vxFf /etc/inittab /run/inittab | sed 's/^::respawn:/starting /' || true
    cp /run/inittab /etc/inittab
    kill -HUP 1
  '';
in
{
  options.system.switch.enable = lib.mkOption {
    type = lib.types.bool;
    default = config.nix.enable && (loader.systemd-boot.enable or false || loader.generic-extlinux-compatible.enable);
  };
  config.system.extraSystemBuilderCmds = lib.mkIf config.system.switch.enable ''
    mkdir $out/bin
    sed "s|@out@|$out|" ${script} >$out/bin/switch-to-configuration
    chmod +x $out/bin/switch-to-configuration
  '';
}
