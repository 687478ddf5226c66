"""How far a pose lies from the truth, in space and in the picture."""
