# What the tool's flake.nix needs of nixpkgs. `scripts/release --test` builds the tool with it, because NixOS's binary cache, which
# has nixpkgs' own Rust, cannot be reached from everywhere. In place of nixpkgs' packages are those of the container that Nix
# runs in: /rust has the toolchain, /crates what `cargo vendor` wrote.
{
  outputs =
    { self }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      lib = {
        genAttrs =
          names: make:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = make name;
            }) names
          );
        importTOML = file: builtins.fromTOML (builtins.readFile file);
        optionalString = condition: text: if condition then text else "";
        licenses = {
          mit = "MIT";
          asl20 = "Apache-2.0";
        };
        platforms.linux = systems;
      };
      packages =
        system:
        let
          stdenv = {
            hostPlatform = { inherit system; };
            buildPlatform.canExecute = _: true;
          };
          buildRustPackage =
            {
              pname,
              version,
              src,
              postInstall,
              meta,
              doCheck,
              ...
            }@arguments:
            derivation {
              name = "${pname}-${version}";
              inherit
                system
                src
                postInstall
                doCheck
                ;
              builder = "/bin/bash";
              args = [ ./build-rust-package ];
              PATH = "/rust/bin:/usr/bin:/bin";
            }
            // {
              inherit meta;
              overrideAttrs = more: buildRustPackage (arguments // more);
            };
          available = {
            inherit lib stdenv;
            rustPlatform = { inherit buildRustPackage; };
            installShellFiles = null;
          };
        in
        available
        // {
          callPackage =
            file: more: import file (builtins.intersectAttrs (builtins.functionArgs (import file)) available // more);
        };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems packages;
    };
}
