# An SD card image for 64-bit ARM machines whose U-Boot reads an extlinux menu.
{ config, lib, pkgs, ... }:
{
  imports = [ ../../profiles/base.nix ./sd-image.nix ];

  boot.loader.grub.enable = false;
  boot.loader.generic-extlinux-compatible.enable = true;
  boot.consoleLogLevel = 7;
  # The last one is where the messages of the boot go: the serial line of QEMU's machine.
  boot.kernelParams = [ "console=tty0" "console=ttyS0,115200n8" "console=ttyAMA0,115200n8" ];

  sdImage = {
    # There is no firmware of the Raspberry Pi here: it is not free, and Debian's cloud kernel does not know the board. See
    # `mini.raspberryPi`.
    populateFirmwareCommands = lib.mkIf (!config.mini.raspberryPi) ''
      cp ${pkgs.ubootQemuAarch64}/u-boot.bin firmware/u-boot.bin
      printf 'kernel=u-boot.bin\narm_64bit=1\nenable_uart=1\n' >firmware/config.txt
    '';
    populateRootCommands = ''
      mkdir -p ./files/boot
      ${config.boot.loader.generic-extlinux-compatible.populateCmd} -c ${config.system.build.toplevel} -d ./files/boot
    '';
  };
}
