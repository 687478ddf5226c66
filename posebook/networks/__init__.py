"""Layers that chapters 3 and 4 share."""
