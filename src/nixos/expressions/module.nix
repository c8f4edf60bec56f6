# A module file as the source: evaluated with <nixpkgs>, as `nix-build '<nixpkgs/nixos>'` does.
{ system }:
{
  inherit system;
  evaluate = modules: import <nixpkgs/nixos/lib/eval-config.nix> { inherit system; modules = [ ../wrapper.nix ] ++ modules; };
  imageOf = import ./image.nix;
}
