{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  boot.kernelParams = [ –quiet ];
  system.stateVersion = "26.05";
}
