{ pkgs, modulesPath, ... }:
{
  imports = [ (modulesPath + "/installer/sd-card/sd-image-aarch64.nix") ];
  environment.systemPackages = with pkgs; ( vim git );
}
