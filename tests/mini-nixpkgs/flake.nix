# The same tree as a flake's input. In pure evaluation the environment is not read, so the Debian mirror is the default.
{
  description = "the miniature nixpkgs";

  outputs =
    { self }:
    let
      systems = [ "aarch64-linux" "x86_64-linux" ];
      lib = import ./lib // {
        # As in nixpkgs, whose errors differ from those of a plain call.
        nixosSystem =
          args:
          import ./nixos/lib/eval-config.nix (
            {
              system = null;
              modules = args.modules ++ [ ];
            }
            // removeAttrs args [ "modules" ]
          );
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems (system: import ./. { inherit system; });
    };
}
