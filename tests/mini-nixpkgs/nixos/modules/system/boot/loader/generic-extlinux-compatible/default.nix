# The boot menu that U-Boot reads, under the names of nixpkgs' module.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.boot.loader.generic-extlinux-compatible;
  builder = import ./extlinux-conf-builder.nix { inherit lib; pkgs = pkgs.buildPackages; };
in
{
  options.boot.loader = {
    generic-extlinux-compatible = {
      enable = lib.mkEnableOption "a boot menu that U-Boot understands";
      configurationLimit = mkOption { type = types.int; default = 20; };
      useGenerationDeviceTree = mkOption { type = types.bool; default = true; };
      timeout = mkOption { type = types.int; internal = true; default = 10; description = "Tenths of a second."; };
      populateCmd = mkOption { type = types.str; readOnly = true; default = "${builder} -t ${toString cfg.timeout}${lib.optionalString (!cfg.useGenerationDeviceTree) " -r"}"; };
    };
    grub = mkOption { type = types.attrsOf types.anything; default = { }; };
    efi = mkOption { type = types.attrsOf types.anything; default = { }; };
    timeout = mkOption { type = types.nullOr types.int; default = 5; };
  };
  config.system.build = lib.mkIf (cfg.enable && config.system.switch.enable or true) {
    # nixpkgs builds the builder once more for the machine itself.
    installBootLoader = "${import ./extlinux-conf-builder.nix { inherit lib pkgs; }} -t ${toString cfg.timeout} -d /boot -c";
  };
}
