"""Descriptors: features of the atomic neighbourhood of a point."""

from nearsight.descriptors.evaluator import evaluate
from nearsight.descriptors.local_frame import LocalFrame
from nearsight.descriptors.power_spectrum import PowerSpectrum
from nearsight.descriptors.protocol import Descriptor, Evaluator
from nearsight.descriptors.registered import DESCRIPTORS, descriptor_from_settings
from nearsight.descriptors.scalar_products import ScalarProducts

__all__ = [
    "DESCRIPTORS",
    "Descriptor",
    "Evaluator",
    "LocalFrame",
    "PowerSpectrum",
    "ScalarProducts",
    "descriptor_from_settings",
    "evaluate",
]
