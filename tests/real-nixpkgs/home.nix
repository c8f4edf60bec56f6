# A home server: Home Assistant, a container of NixOS, and one of an image.
{
  imports = [ ./base.nix ];
  services.home-assistant = {
    enable = true;
    extraComponents = [ "met" "mqtt" ];
    config = { homeassistant.name = "Home"; default_config = { }; };
  };
  containers.web = {
    autoStart = true;
    config = { services.nginx.enable = true; system.stateVersion = "26.05"; };
  };
  virtualisation.oci-containers = { backend = "podman"; containers.proxy.image = "traefik:3"; };
}
