{ ... }:
{
  imports = [ (fetchTarball "http://localhost:8000/nosuch.tar.gz") ];
}
