# What the builder evaluates, an attribute for each purpose. None of them asks whether the configuration is a module file or
# comes from a flake: `source.nix`, which sdbuild writes (src/nixos/build_source.rs), returns
#
#   system     the system that the image is for
#   evaluate   from a list of further modules to the configuration with them: `config`, `options` and `pkgs`
#   evaluateChanged   optional: the same, with a function before the list that changes the user's module
#   imageOf    from such a configuration to the derivation of its image
#
# and for a flake `report` and `settings`, which are described there.
let
  source = import ./source.nix;
  inherit (source) system evaluate imageOf;
in
{
  # The derivation of the image.
  image = imageOf (evaluate [ ]);
  # What `check` reads: see facts.nix.
  inherit (import ./facts.nix { inherit imageOf; inherit (import ./format.nix) variant; evaluation = evaluate [ ]; }) facts whole;
  # The image with native glue: see glue/default.nix.
  # `failed`: see there.
  glue =
    { failed ? "" }:
    import ./glue ({ inherit system evaluate imageOf failed; evaluateChanged = source.evaluateChanged or null; } // source.builder or { });
  inherit (source) report settings;
}
