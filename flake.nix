{
  description = "Builds NixOS images for Raspberry Pis, other boards, PCs and virtual machines, with Docker or Podman";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: rec {
        default = sdbuild;
        sdbuild = pkgs.callPackage ./packaging/nix/package.nix { src = self; };
      });

      # Builds it, and runs the tests that need neither an engine nor root.
      checks = forEach (pkgs: {
        sdbuild = self.packages.${pkgs.stdenv.hostPlatform.system}.default.overrideAttrs { doCheck = true; };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = with pkgs; [
            clippy
            rustfmt
            cargo-nextest
            shellcheck
            jq
          ];
        };
      });

      formatter = forEach (pkgs: pkgs.nixfmt);
    };
}
