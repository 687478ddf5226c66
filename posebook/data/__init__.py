"""Data: one module per source, each of which gives one of the records of `posebook.data.records`."""
