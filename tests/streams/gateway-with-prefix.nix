{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.defaultGateway = "192.168.1.1/24";
  networking.interfaces.end0.ipv4.addresses = [ { address = "192.168.1.5"; prefixLength = 24; } ];
}
