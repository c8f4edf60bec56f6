{ ... }:
{
  imports = [ <nixos-hardware/raspberry-pi/4> ];
}
