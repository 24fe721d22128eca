"""Spherical atomic densities: tables, their superposition on grids and at points, fits to data."""
