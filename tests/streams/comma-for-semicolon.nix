{ ... }:
{
  services.openssh.enable = true,
  networking.hostName = "pi";
}
