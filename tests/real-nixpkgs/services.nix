{ pkgs, ... }:
{
  imports = [ ./base.nix ];
  networking.networkmanager.enable = true;
  virtualisation.docker.enable = true;
  services = { nginx.enable = true; postgresql.enable = true; tailscale.enable = true; };
  users.users.ann = { isNormalUser = true; extraGroups = [ "wheel" ]; };
  environment.systemPackages = with pkgs; [ vim htop git ];
}
