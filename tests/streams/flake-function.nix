# A Raspberry Pi.
{ self, nixpkgs, ... }:
{
  nixosConfigurations.pi = 1;
}
