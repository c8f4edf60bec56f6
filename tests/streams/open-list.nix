{ pkgs, ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  environment.systemPackages = [
    pkgs.vim
  services.openssh.ports = [ 22 ];
  networking.firewall.allowedTCPPorts = [ 80;
}
