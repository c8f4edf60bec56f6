{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  boot.kernelPackages = "latest";
  system.stateVersion = "26.05";
}
