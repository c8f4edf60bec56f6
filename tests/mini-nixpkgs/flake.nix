# The same tree as a flake's input. In pure evaluation the environment is not read, so the Debian mirror is the default.
{
  description = "the miniature nixpkgs";

  outputs =
    { self }:
    let
      systems = [ "aarch64-linux" "x86_64-linux" ];
      lib = import ./lib // {
        nixosSystem = args: import ./nixos/lib/eval-config.nix ({ system = null; } // args);
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems (system: import ./. { inherit system; });
    };
}
