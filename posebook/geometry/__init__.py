"""Points, cameras, rotations and joint sets: numbers alone."""
