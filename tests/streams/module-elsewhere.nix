{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  imports = [ <nixpkgs/nixos/modules/installer/cd-dvd/sd-image-aarch64.nix> ];
  system.stateVersion = "26.05";
}
