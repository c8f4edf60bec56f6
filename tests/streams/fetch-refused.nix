{ ... }:
{
  imports = [ (fetchTarball "http://127.0.0.1:9/nixos-hardware/archive/master.tar.gz") ];
}
