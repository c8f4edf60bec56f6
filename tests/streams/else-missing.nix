{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  networking.domain = if true then "a";
  system.stateVersion = "26.05";
}
