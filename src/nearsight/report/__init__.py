"""Figures and page; reads results, computes nothing."""

from nearsight.report.page import write_report
from nearsight.report.reading import Study, read_field, read_study

__all__ = ["Study", "read_field", "read_study", "write_report"]
