{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  fileSystems./boot = { device = "x"; };
  system.stateVersion = "26.05";
}
