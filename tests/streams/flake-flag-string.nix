{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs";
  inputs.nixpkgs.flake = "false";
  outputs = { self, nixpkgs, ... }: { };
}
