{ ... }:
{
  users.users.root.authorizedKeys = [ "x" ];
}
