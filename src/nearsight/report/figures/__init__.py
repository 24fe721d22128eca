"""Plotly figures as plain dictionaries, one a module; `layout` holds what they share."""
