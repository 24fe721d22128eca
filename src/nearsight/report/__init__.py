"""Figures and page; reads results, computes nothing."""
