{ a = ''
    x
  ;
  b = ''
    foo = bar
  '';
}
