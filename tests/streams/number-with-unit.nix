{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  swapDevices = [ { device = "/swap"; size = 1G; } ];
  system.stateVersion = "26.05";
}
