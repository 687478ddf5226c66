"""Official data sets, read from files that the reader holds, and their checks."""
