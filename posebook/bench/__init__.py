"""How fast the code is on this machine, beside plain forms of it: `python -m posebook bench`."""
