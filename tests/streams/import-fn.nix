{ modulesPath, ... }:
{
  imports = [ import (modulesPath + "/profiles/minimal.nix") ];
}
