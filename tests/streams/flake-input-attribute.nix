{
  inputs.nixpkgs.ulr = "github:NixOS/nixpkgs";
  outputs = { self, nixpkgs, ... }: { };
}
