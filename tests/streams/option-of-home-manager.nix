{ ... }:
{
  home-manager.users.pi = { };
}
