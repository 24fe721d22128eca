"""Kohn–Sham engines behind one protocol."""
