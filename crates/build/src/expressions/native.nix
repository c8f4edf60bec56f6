# Tools of the nixpkgs of `pkgs` that run natively, without the user's overlays: nothing in the result depends on them.
pkgs:
import pkgs.path {
  localSystem = (import ./source.nix).builder.builderSystem or builtins.currentSystem;
  config = { };
  overlays = [ ];
}
