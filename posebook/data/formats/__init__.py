"""File formats: MATLAB, pickles that cannot run code, pictures and videos."""
