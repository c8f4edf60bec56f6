{ ... }:
let
  a = 1;
{
  networking.hostName = "pi";
}
