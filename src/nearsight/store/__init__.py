"""Zarr data set and coreset stores."""
