{
  inputs.nixpkgs.url = "path:/np";
  outputs = { nixpkgs, ... }: {
    nixosConfigurations.pi = nixpkgs.lib.nixosSystem [ ./pi.nix ];
  };
}
