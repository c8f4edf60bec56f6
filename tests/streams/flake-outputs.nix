{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  outputs = { nixpkgs }: {
    nixosConfigurations.pi = nixpkgs.lib.nixosSystem {
      modules = [ ./sd-card.nix ];
    };
  };
}
