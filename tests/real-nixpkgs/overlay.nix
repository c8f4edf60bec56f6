{ pkgs, ... }:
{
  imports = [ ./base.nix ];
  nixpkgs.config.allowUnfree = true;
  nixpkgs.overlays = [ (final: prev: { htop = prev.htop.overrideAttrs { changed = "yes"; }; }) ];
  environment.systemPackages = [ pkgs.htop pkgs.jq ];
}
