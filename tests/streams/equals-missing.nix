{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  time.timeZone "Europe/Berlin";
  system.stateVersion = "26.05";
}
