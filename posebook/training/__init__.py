"""Seeded draws, the one loop, checkpoints, traces, and the one adversary."""
