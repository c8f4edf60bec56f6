{ ... }:
{
  networking.hostName = "küche";
  system.stateVersion = "26.05";
}
