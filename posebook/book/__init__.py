"""What the pages print and draw: tables, figures, the thesis' own numbers."""
