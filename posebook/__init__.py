"""posebook: the code that several pages of the executable edition share.

The book derives every idea on a page of its own; this package holds the fast, tested version of
what more than one page needs: joint sets, cameras, data, losses, models, one training loop,
metrics, result files and figures.  Lengths are metres, the world's Z axis points up, and a camera
looks along its own +z axis with y pointing down.
"""

__version__ = "0.1.0"
