"""Running untrusted Python. No recipe that runs programs is here yet, so neither is a jail."""
