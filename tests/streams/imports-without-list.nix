{ ... }:
{
  imports = ./wifi.nix;
  system.stateVersion = "26.05";
}
