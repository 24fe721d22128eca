"""Errors of densities and energies, one definition everywhere."""
