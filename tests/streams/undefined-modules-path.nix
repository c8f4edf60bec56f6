# My board.
{
  pkgs,
  ...
}:
{
  imports = [ (modulesPath + "/installer/sd-card/sd-image-aarch64.nix") ];
}
