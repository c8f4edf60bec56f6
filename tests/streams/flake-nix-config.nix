{
  inputs.nixpkgs.url = "path:/np";
  nixConfig = 5;
  outputs = { self, nixpkgs, ... }: { };
}
