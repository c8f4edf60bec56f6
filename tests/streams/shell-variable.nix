{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  networking.domain = $HOME;
  system.stateVersion = "26.05";
}
