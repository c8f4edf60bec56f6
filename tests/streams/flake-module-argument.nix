{
  inputs.nixpkgs.url = "path:/np";
  outputs = { self, nixpkgs, ... }@inputs: {
    nixosConfigurations.pi = nixpkgs.lib.nixosSystem {
      modules = [
        "${nixpkgs}/nixos/modules/installer/sd-card/sd-image-aarch64.nix"
        ({ inputs, ... }: {
          nixpkgs.hostPlatform = "aarch64-linux";
          environment.etc.x.text = "${inputs.self}";
        })
      ];
    };
  };
}
