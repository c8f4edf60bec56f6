# A module file as the source: evaluated with <nixpkgs>, as `nix-build '<nixpkgs/nixos>'` does.
{ system }:
rec {
  inherit system;
  evaluate = evaluateChanged (module: module);
  evaluateChanged = change: modules: import <nixpkgs/nixos/lib/eval-config.nix> { inherit system; modules = [ (change ../wrapper.nix) ] ++ modules; };
  imageOf = import ./image.nix { inherit system; own = "/build/config"; };
}
