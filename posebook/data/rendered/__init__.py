"""Embedded video: modelled people in surroundings, rendered."""
