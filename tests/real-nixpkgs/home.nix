# A home server.
{
  imports = [ ./base.nix ];
  services.home-assistant = {
    enable = true;
    extraComponents = [ "met" "mqtt" ];
    config = { homeassistant.name = "Home"; default_config = { }; automation = "!include automations.yaml"; };
  };
  services.mosquitto = { enable = true; listeners = [ { port = 1883; users.home.passwordFile = "/run/keys/mqtt"; } ]; };
}
