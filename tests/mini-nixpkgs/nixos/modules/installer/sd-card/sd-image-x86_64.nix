# An SD card image for x86_64: what a boot loader of one's own starts by the extlinux menu.
{ config, ... }:
{
  imports = [ ../../profiles/base.nix ./sd-image.nix ];

  boot.loader.grub.enable = false;
  boot.loader.generic-extlinux-compatible.enable = true;
  boot.consoleLogLevel = 7;
  boot.kernelParams = [ "console=tty0" "console=ttyS0,115200n8" ];

  sdImage = {
    populateFirmwareCommands = "";
    populateRootCommands = ''
      mkdir -p ./files/boot
      ${config.boot.loader.generic-extlinux-compatible.populateCmd} -c ${config.system.build.toplevel} -d ./files/boot
    '';
  };
}
