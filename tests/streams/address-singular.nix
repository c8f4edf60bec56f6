{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.interfaces.end0.ipv4.address = "192.168.1.5";
}
