{ ... }:
{
  import = [ ./x.nix ];
}
