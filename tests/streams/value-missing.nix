{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  time.timeZone =;
  system.stateVersion = "26.05";
}
