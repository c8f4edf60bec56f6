{
  description = "a Raspberry Pi";
  outputs = {
    nixosConfigurations.pi = 1;
  };
}
