{
  host​Name = "x";
}
