{ ... }:
{
  imports = [ (builtins.fetchGit "https://github.nosuch.invalid/nixos-hardware.git") ];
}
