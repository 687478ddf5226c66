"""Data: a module per source, each of which gives one of the records of `records`."""
