# The boot menu that U-Boot reads, under the names of nixpkgs' module.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.boot.loader.generic-extlinux-compatible;
  # $1 the system, $3 the folder: `-c SYSTEM -d FOLDER`, as nixpkgs' builder is called.
  builder = pkgs.writeShellScript "extlinux-conf-builder" ''
    set -e
    while [ $# -gt 0 ]; do
      case $1 in -c) system=$2 ;; -d) target=$2 ;; esac
      shift 2
    done
    mkdir -p "$target/nixos" "$target/extlinux"
    put() {
      local path name
      path=$(readlink -f "$1")
      name=''${path#/nix/store/}
      name=''${name//\//-}
      cp "$path" "$target/nixos/$name"
      echo "../nixos/$name"
    }
    kernel=$(put "$system/kernel")
    initrd=$(put "$system/initrd")
    cat >"$target/extlinux/extlinux.conf" <<CONF
    DEFAULT nixos-default
    MENU TITLE ------------------------------------------------------------
    TIMEOUT ${toString cfg.timeout}
    LABEL nixos-default
      MENU LABEL NixOS - Default
      LINUX $kernel
      INITRD $initrd
      APPEND init=$(readlink -f "$system")/init $(cat "$system/kernel-params")
    CONF
  '';
in
{
  options.boot.loader = {
    generic-extlinux-compatible = {
      enable = lib.mkEnableOption "a boot menu that U-Boot understands";
      configurationLimit = mkOption { type = types.int; default = 20; };
      useGenerationDeviceTree = mkOption { type = types.bool; default = true; };
      timeout = mkOption { type = types.int; internal = true; default = 10; description = "Tenths of a second."; };
      populateCmd = mkOption { type = types.str; readOnly = true; default = "${builder}"; };
    };
    grub = mkOption { type = types.attrsOf types.anything; default = { }; };
    systemd-boot = mkOption { type = types.attrsOf types.anything; default = { }; };
    efi = mkOption { type = types.attrsOf types.anything; default = { }; };
    timeout = mkOption { type = types.nullOr types.int; default = 5; };
  };
}
