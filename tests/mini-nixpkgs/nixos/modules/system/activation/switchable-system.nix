# What makes a system that was built on the machine the one that starts next.
{ config, lib, pkgs, ... }:
let
  script = pkgs.writeShellScript "switch-to-configuration" ''
    set -e
    export PATH=${pkgs.busybox}/bin
    if [ ! -e /etc/NIXOS ]; then
      echo "This is not a NixOS installation!" >&2
      exit 1
    fi
    if [ "$1" != boot ]; then
      echo "usage: switch-to-configuration boot; the miniature has no other action" >&2
      exit 1
    fi
    ${config.system.build.installBootLoader} @out@
  '';
in
{
  options.system.switch.enable = lib.mkOption { type = lib.types.bool; default = config.nix.enable && config.boot.loader.systemd-boot.enable or false; };
  config.system.extraSystemBuilderCmds = lib.mkIf config.system.switch.enable ''
    mkdir $out/bin
    sed "s|@out@|$out|" ${script} >$out/bin/switch-to-configuration
    chmod +x $out/bin/switch-to-configuration
  '';
}
