{ config, lib, options, pkgs, ... }:
let
  inherit (lib) types;
  cfg = config.hardware.raspberry-pi;
  line = name: value: "${name}=${if value == true then "1" else if value == false then "0" else toString value}\n";
  installer = pkgs.writeShellApplication {
    name = "install-rpi-firmware";
    text = ''
      target="$1"
      mkdir -p "$target/overlays"
      cp ${config.boot.kernelPackages.kernel}/dtbs/broadcom/bcm2711-rpi-4-b.dtb "$target/"
      ${lib.optionalString cfg.firmware.uboot.enable ''cp ${cfg.firmware.uboot.package}/u-boot.bin "$target/u-boot.bin"''}
      cp ${cfg.configtxt.file} "$target/config.txt"
    '';
  };
in
{
  options.hardware.raspberry-pi = {
    firmware.uboot.enable = lib.mkEnableOption "U-Boot, which the firmware starts";
    firmware.uboot.package = lib.mkOption { type = types.package; default = pkgs.ubootRaspberryPi4_64bit; };
    configtxt.settings.all = lib.mkOption { type = types.attrsOf types.anything; default = { }; };
    configtxt.file = lib.mkOption {
      type = types.package;
      default = pkgs.writeText "config.txt" "[all]\n${lib.concatStrings (lib.mapAttrsToList line cfg.configtxt.settings.all)}";
    };
  };
  config = lib.mkMerge [
    { hardware.raspberry-pi.configtxt.settings.all.enable_uart = true; }
    (lib.mkIf cfg.firmware.uboot.enable {
      hardware.raspberry-pi.configtxt.settings.all = { kernel = "u-boot.bin"; arm_64bit = true; };
      boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = lib.mkDefault false;
    })
    (lib.optionalAttrs (options ? sdImage) {
      sdImage.populateFirmwareCommands = lib.mkForce "${lib.getExe installer} ./firmware\n";
    })
  ];
}
