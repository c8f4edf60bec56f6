{
  inputs.nixpkgs.url = "path:./np";
  output = { self, nixpkgs, ... }: { };
}
