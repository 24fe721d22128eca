"""Descriptors by name, and descriptors from the settings stored in a model or a coreset."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nearsight.descriptors.local_frame import LocalFrame
from nearsight.descriptors.power_spectrum import PowerSpectrum
from nearsight.descriptors.protocol import Descriptor
from nearsight.descriptors.scalar_products import ScalarProducts
from nearsight.errors import InputError
from nearsight.registry import Registry

#: descriptor classes: frozen dataclasses whose fields are their settings
DESCRIPTORS: Registry[Callable[..., Descriptor]] = Registry("descriptor", "nearsight.descriptors")

DESCRIPTORS.register("power_spectrum")(PowerSpectrum)
DESCRIPTORS.register("local_frame")(LocalFrame)
DESCRIPTORS.register("scalar_products")(ScalarProducts)


def descriptor_from_settings(settings: Mapping[str, Any]) -> Descriptor:
    """The descriptor whose `settings()` these are.

    Parameters
    ----------
    settings : mapping
        ``name`` and ``species``, and any other setting of that descriptor; those left out take
        their defaults.

    Raises
    ------
    UnknownNameError
        No descriptor of that name.
    InputError
        The name or the species are missing, a key is unknown, or a value makes no sense.
    """
    rest = dict(settings)
    name = rest.pop("name", None)
    if not isinstance(name, str):
        raise InputError(f"descriptor settings need a name, one of: {', '.join(DESCRIPTORS)}")
    make = DESCRIPTORS[name]
    known = [f.name for f in dataclasses.fields(make) if f.init]  # type: ignore[arg-type]
    unknown = sorted(set(rest) - set(known))
    if unknown:
        raise InputError(f"{name}: unknown setting {', '.join(unknown)}; known: {', '.join(known)}")
    if "species" not in rest:
        raise InputError(f"{name}: species is missing; give the atomic numbers of the elements to describe")
    return make(**rest)
