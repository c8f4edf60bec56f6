# A container of NixOS, and one of an image.
{
  imports = [ ./base.nix ];
  containers.web = {
    autoStart = true;
    config = { services.nginx.enable = true; system.stateVersion = "26.05"; };
  };
  virtualisation.oci-containers = { backend = "podman"; containers.proxy.image = "traefik:3"; };
}
