"""Motion that readers bring: BVH, ASF/AMC and C3D files as clips for the generator of views."""
