{ lib, ..}:
{
  networking.hostName = "pi";
}
