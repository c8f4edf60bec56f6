# Never measured: what it has in common with another configuration is what a binary cache can have.
{ pkgs, ... }:
{
  imports = [ ./services.nix ];
  networking.hostName = "other";
  time.timeZone = "Asia/Tokyo";
  documentation.enable = true;
  environment.systemPackages = [ pkgs.jq ];
  services.nginx.virtualHosts.other = { };
}
