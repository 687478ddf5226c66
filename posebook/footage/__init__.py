"""Your own cameras: calibration and detections in, a health report, bodies in space, files out."""
