{ ... }:
{
  imports = [ (builtins.fetchurl "https://github.nosuch.invalid/x.nix") ];
}
