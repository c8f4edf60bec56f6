# The shape of nixos-hardware's module for the Raspberry Pi 4 since July 2026, for the miniature nixpkgs: the same options and steps, with the kernel and
# the U-Boot of the miniature.
{
  outputs = _: { nixosModules.raspberry-pi-4 = import ./raspberry-pi/4; };
}
