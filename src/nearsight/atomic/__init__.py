"""Radial atomic densities: tables, fits, superposition on a grid."""
