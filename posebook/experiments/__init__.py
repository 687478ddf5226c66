"""What is run: the catalogue of all rows, the one path of a run, and whether numbers still hold."""
