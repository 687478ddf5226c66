"""Embedded views: recorded motion on other bodies, seen by simulated cameras and detectors."""
