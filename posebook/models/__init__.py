"""Networks, one module for each section of the thesis."""
