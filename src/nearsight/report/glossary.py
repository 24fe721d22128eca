"""Terms of the page, for a newcomer."""

from nearsight.report.markup import NBSP, number, plain, properties
from nearsight.report.reading import Study
from nearsight.report.summary import has_correction
from nearsight.units import HARTREE_IN_EV

_CORRECTED = "Corrected ΔE"


def glossary(study: Study) -> str:
    """Terms and their meanings as HTML."""
    limit = 1000 * study.chemical_accuracy_ha
    terms = {
        "NRMSE": "root-mean-square error of the density, divided by the difference between its largest and "
        "smallest value in that snapshot; averaged over snapshots.",
        "NMAE": "integral of the absolute error divided by the number of electrons: the error per electron.",
        "Coreset": "a small part of the data that teaches a model nearly as much as the whole.",
        "Kept": "share of all grid points of the training snapshots that a model was trained on.",
        "Superposed atoms": "the densities of free atoms added up. A model that does no better is useless.",
        "ΔE": "Harris–Foulkes free energy of the predicted density minus that of the true density, per atom.",
        _CORRECTED: "the same with a second-order estimate added of what iterating to self-consistency would "
        "change; it comes from the same single diagonalisation.",
        "Hartree error": "electrostatic energy of the error of the density with itself, per atom.",
        "|∇e|": "root of the integral of the squared gradient of the error (H1 seminorm): its roughness.",
        "Chemical accuracy": f"{plain(limit)}{NBSP}mHa ({number(limit * HARTREE_IN_EV)}{NBSP}meV) per atom, "
        "the usual measure of good enough.",
        "Seed": "number from which all random choices of a run follow; several show how much chance matters.",
    }
    if not has_correction(study):
        del terms[_CORRECTED]
    return properties(terms)
