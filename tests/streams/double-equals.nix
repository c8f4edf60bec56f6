{ ... }:
{
  services.openssh.enable == true;
}
