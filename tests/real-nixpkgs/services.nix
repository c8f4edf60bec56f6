{ lib, pkgs, ... }:
{
  imports = [ ./base.nix ];
  networking.networkmanager.enable = true;
  # Until 20.09 the installer's profile has it, and both at a time are refused.
  networking.wireless.enable = lib.mkForce false;
  virtualisation.docker.enable = true;
  services = { nginx.enable = true; postgresql.enable = true; tailscale.enable = true; };
  users.users.ann = { isNormalUser = true; extraGroups = [ "wheel" ]; };
  environment.systemPackages = with pkgs; [ vim htop git ];
}
