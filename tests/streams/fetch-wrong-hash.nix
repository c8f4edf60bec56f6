{ ... }:
{
  imports = [ (fetchTarball { url = "http://localhost:8000/m.tar.gz"; sha256 = "0000000000000000000000000000000000000000000000000000"; }) ];
}
