"""Writing any `NormConserving` as a UPF file, so that another code computes with the same potential."""

from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from nearsight.engines.norm_conserving import NormConserving
from nearsight.engines.upf import RYDBERG
from nearsight.engines.xc import ExchangeCorrelation

#: linear mesh; Quantum ESPRESSO integrates to 10 bohr by Simpson's rule and holds at most 3500 points
_REACH, _STEP = 10.0, 0.005
_HEADER = """<PP_HEADER generated="nearsight" author="" date="" comment="{name}"
 element="{symbol}" pseudo_type="NC" relativistic="scalar" is_ultrasoft="F" is_paw="F" is_coulomb="F"
 has_so="F" has_wfc="F" has_gipaw="F" paw_as_gipaw="F" core_correction="{core}"
 functional="{functional}" z_valence="{charge:.10f}" total_psenergy="0.0" wfc_cutoff="0.0"
 rho_cutoff="0.0" l_max="{l_max}" l_max_rho="0" l_local="-1" mesh_size="{mesh}" number_of_wfc="0"
 number_of_proj="{n}"/>"""
_NAMES = {"PBE": "PBE", "PBEsol": "PBESOL", "LDA,PW": "PW", "LDA,PZ": "PZ"}


def write_upf(path: Path, potential: NormConserving, functional: str = "PBE") -> None:
    """Write a pseudopotential as UPF 2 on a linear mesh of 0.005 bohr up to 10 bohr.

    Parameters
    ----------
    path : Path
    potential : NormConserving
    functional : str
        By its PySCF name, written into the header in Quantum ESPRESSO's spelling.

    Raises
    ------
    InputError
        An unknown functional.
    """
    ExchangeCorrelation(functional)
    r = np.arange(0.0, _REACH + 0.5 * _STEP, _STEP)
    betas, couplings = _nonlocal(potential, r)
    parts = [
        '<UPF version="2.0.1">',
        "<PP_INFO>\nwritten by nearsight\n</PP_INFO>",
        _HEADER.format(
            name=potential.name.replace('"', "").replace("<", "").replace("&", ""),
            symbol=chemical_symbols[potential.number],
            core="F" if potential.core is None else "T",
            functional=_NAMES.get(functional, functional),
            charge=potential.charge,
            l_max=max((channel.ell for channel in potential.projectors), default=0),
            mesh=len(r),
            n=len(couplings),
        ),
        f'<PP_MESH dx="{_STEP}" mesh="{len(r)}" xmin="0.0" rmax="{_REACH}" zmesh="{potential.number}">',
        _array("PP_R", r),
        _array("PP_RAB", np.full(len(r), _STEP)),
        "</PP_MESH>",
        *([] if potential.core is None else [_array("PP_NLCC", potential.core(r))]),
        _array("PP_LOCAL", potential.local_potential(r) / RYDBERG),
        "<PP_NONLOCAL>",
        *betas,
        _array("PP_DIJ", couplings.ravel() / RYDBERG),
        "</PP_NONLOCAL>",
        "<PP_PSWFC>\n</PP_PSWFC>",
        _array("PP_RHOATOM", _valence_shell(potential, r)),
        "</UPF>\n",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _nonlocal(potential: NormConserving, r: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Elements PP_BETA.i and the matrix of all projectors, block-diagonal in l, hartree."""
    n = sum(len(channel) for channel in potential.projectors)
    couplings = np.zeros((n, n))
    betas: list[str] = []
    for channel in potential.projectors:
        begin = len(betas)
        couplings[begin : begin + len(channel), begin : begin + len(channel)] = channel.matrix
        for function in channel.functions:
            attributes = (
                f' index="{len(betas) + 1}" label="" angular_momentum="{channel.ell}"'
                f' cutoff_radius_index="{len(r)}" cutoff_radius="{r[-1]}"'
            )
            betas.append(_array(f"PP_BETA.{len(betas) + 1}", r * function(r), attributes))
    return betas, couplings


def _valence_shell(potential: NormConserving, r: np.ndarray) -> np.ndarray:
    """4πr²ρ of the free atom; a Gaussian shell of the right charge where it is not known."""
    if potential.valence_density is not None:
        return np.asarray(4 * np.pi * r**2 * potential.valence_density(r))
    return np.asarray(potential.charge * np.sqrt(2 / np.pi) * r**2 * np.exp(-0.5 * r**2))


def _array(tag: str, values: np.ndarray, attributes: str = "") -> str:
    """An element that holds numbers, four a line."""
    lines = [" ".join(f"{v:.15E}" for v in values[i : i + 4]) for i in range(0, len(values), 4)]
    body = "\n".join(lines)
    return f'<{tag} type="real" size="{len(values)}" columns="4"{attributes}>\n{body}\n</{tag}>'
