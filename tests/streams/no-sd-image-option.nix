{ ... }:
{
  sdImage.compressImage = false;
}
