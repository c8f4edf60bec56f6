{ lib, pkgs, ... }:
{
  imports = [ ../common/firmware.nix ];
  boot = {
    kernelPackages = lib.mkDefault pkgs.linuxPackages_boards;
    initrd.availableKernelModules = [ "sdhci_iproc" ];
    loader.grub.enable = lib.mkDefault false;
    loader.generic-extlinux-compatible.enable = lib.mkDefault true;
  };
}
