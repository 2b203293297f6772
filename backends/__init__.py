"""How the console reaches other systems, each speaking the words of the domain."""
