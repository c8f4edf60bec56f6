{ ... }:
{
  imports = [ (fetchTarball "https://github.nosuch.invalid/nixos-hardware/archive/master.tar.gz") ];
}
