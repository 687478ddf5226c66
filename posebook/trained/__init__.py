"""Small trained networks that travel with the package, their cards, and their way to ONNX."""
