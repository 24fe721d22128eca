"""`DensityModel` and its file."""
