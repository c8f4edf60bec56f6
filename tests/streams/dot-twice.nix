{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  networking..domain = "x";
  system.stateVersion = "26.05";
}
