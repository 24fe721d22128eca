"""Model files (``.nst``): a `DensityModel` as safetensors with a JSON header."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from nearsight.atomic.radial import RadialDensity
from nearsight.descriptors import descriptor_from_settings
from nearsight.descriptors.protocol import Descriptor
from nearsight.errors import ModelFileError
from nearsight.model.density_model import DensityModel
from nearsight.model.scaler import FeatureScaler
from nearsight.model.target import Target
from nearsight.model.tensorfile import read_tensor_file, write_tensor_file
from nearsight.networks.protocol import network_from_settings
from nearsight.provenance import software

#: what a model file says it is
FORMAT: Final = "nearsight-model"
#: version of the format that this package writes, and the newest it reads
FORMAT_VERSION: Final = 1

_UNITS = {"length": "bohr", "density": "e/bohr^3", "spacing": "bohr"}


def save_model(model: DensityModel, path: Path | str) -> None:
    """Write a model; a file of that name is replaced only by a complete one."""
    header = {
        "units": _UNITS,
        "descriptor": model.descriptor.settings(),
        "network": model.network.settings.as_dict(),
        "target": model.target,
        "radial": {str(z): _radial_header(table) for z, table in model.radial.items()},
        "valence": {str(z): count for z, count in model.valence.items()},
        "engine": model.engine,
        "spacing": model.spacing,
        "calibration": model.calibration,
        "provenance": model.provenance,
        "software": software(),
    }
    write_tensor_file(Path(path), FORMAT, FORMAT_VERSION, header, _tensors(model))


def load_model(
    path: Path | str,
    *,
    build_descriptor: Callable[[Mapping[str, Any]], Descriptor] = descriptor_from_settings,
) -> DensityModel:
    """Read a model; its digest is checked before anything is built.

    Parameters
    ----------
    path : path
    build_descriptor : callable
        Makes a descriptor from its stored settings; the registered ones unless given.

    Raises
    ------
    ModelFileError
        Missing, truncated, corrupted, foreign, or of a newer format.
    UnknownNameError
        It uses a descriptor or network that is not installed.
    """
    path = Path(path)
    header, arrays = read_tensor_file(path, FORMAT, FORMAT_VERSION)
    try:
        return _build(header, arrays, build_descriptor)
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{path} lacks or misnames a part ({error}); write it again") from None


def _tensors(model: DensityModel) -> dict[str, np.ndarray]:
    tensors = {f"network.{name}": t.numpy() for name, t in model.network.tensors().items()}
    tensors |= {"scaler.mean": model.scaler.mean, "scaler.std": model.scaler.std}
    for z, table in model.radial.items():
        tensors |= {f"radial.{z}.r": table.r, f"radial.{z}.rho": table.rho}
    return tensors


def _radial_header(table: RadialDensity) -> dict[str, Any]:
    return {"n_electrons": table.n_electrons, "source": table.source}


def _build(
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    build_descriptor: Callable[[Mapping[str, Any]], Descriptor],
) -> DensityModel:
    descriptor = build_descriptor(header["descriptor"])
    network = network_from_settings(header["network"]).build(descriptor.n_features)
    network.load_tensors(
        {
            name.removeprefix("network."): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith("network.")
        }
    )
    radial = {
        int(z): RadialDensity(int(z), arrays[f"radial.{z}.r"], arrays[f"radial.{z}.rho"], **entry)
        for z, entry in header["radial"].items()
    }
    return DensityModel(
        descriptor=descriptor,
        network=network,
        scaler=FeatureScaler(arrays["scaler.mean"], arrays["scaler.std"]),
        target=Target(**header["target"]),
        radial=radial,
        valence={int(z): float(count) for z, count in header["valence"].items()},
        engine=header["engine"],
        spacing=float(header["spacing"]),
        calibration=header["calibration"],
        provenance=header["provenance"],
    )
