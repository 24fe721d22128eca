"""Structures and dynamics to label."""
