{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  environment.systemPackages = [ pkgs.vim ] + [ pkgs.git ];
  system.stateVersion = "26.05";
  fileSystems."/" = { device = "/dev/sda"; fsType = "ext4"; };
  boot.loader.grub.enable = false;
}
