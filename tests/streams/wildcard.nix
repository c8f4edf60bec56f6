{ ... }:
{
  imports = [ ./*.nix ];
}
