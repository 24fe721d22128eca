"""Markers of tests that need a program which nearsight does not install."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    for name, needs in {
        "qepy": "a Python with QEpy, named by NEARSIGHT_QEPY_PYTHON",
        "gpaw": "a Python with GPAW, named by NEARSIGHT_GPAW_PYTHON",
        "sparc": "the program sparc on the PATH",
    }.items():
        config.addinivalue_line("markers", f"{name}: needs {needs}")
