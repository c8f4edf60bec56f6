# The shape of nixpkgs' image for Raspberry Pis: config.txt, U-Boot and device trees in the firmware partition, and a kernel that
# knows the boards. The firmware itself (bootcode.bin, start.elf) is not free, so only QEMU's models start it.
{ config, lib, options, pkgs, ... }:
let
  configTxt = pkgs.writeText "config.txt" ''
    [pi3]
    kernel=u-boot-rpi3.bin

    [pi02]
    kernel=u-boot-rpi3.bin

    [pi4]
    kernel=u-boot-rpi4.bin
    disable_overscan=1

    [all]
    arm_64bit=1
    enable_uart=1
  '';
  trees = "${config.boot.kernelPackages.kernel}/dtbs/broadcom";
in
{
  options.mini.raspberryPi = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Makes the image one for the Raspberry Pi 3, 4 and Zero 2 W, as QEMU has them.";
  };
  config = lib.mkIf config.mini.raspberryPi ({
    boot.kernelPackages = lib.mkOverride 90 pkgs.linuxPackages_boards;
    # The card, USB and its network adapter; what is not named is built into Debian's kernel.
    boot.initrd.availableKernelModules = [
      "bcm2835" "sdhci_iproc" "phy_generic" "dwc2" "cdc_ether" "rndis_host" "cdc_subset" "crc32c_generic"
    ];
    # U-Boot 2025.01 loads a device tree to a place that Debian's kernel overwrites.
    boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = lib.mkDefault false;
  }
  # Only the module of the image has this option.
  // lib.optionalAttrs (options ? sdImage) {
    sdImage.populateFirmwareCommands = ''
      cp ${configTxt} firmware/config.txt
      cp ${pkgs.ubootRaspberryPi3_64bit}/u-boot.bin firmware/u-boot-rpi3.bin
      cp ${pkgs.ubootRaspberryPi4_64bit}/u-boot.bin firmware/u-boot-rpi4.bin
      # Raspberry Pi's kernel has other names for these than Linux.
      cp ${trees}/bcm2837-rpi-3-b.dtb firmware/bcm2710-rpi-3-b.dtb
      cp ${trees}/bcm2837-rpi-zero-2-w.dtb firmware/bcm2710-rpi-zero-2-w.dtb
      cp ${trees}/bcm2711-rpi-4-b.dtb firmware/
    '';
  });
}
