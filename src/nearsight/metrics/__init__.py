"""Errors of densities and energies, one definition everywhere, and whether stated uncertainties hold."""
