{
  outputs = { self, ... }: {
    nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ]; };
  };
}
