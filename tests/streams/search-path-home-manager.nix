{ ... }:
{
  imports = [ <home-manager/nixos> ];
}
