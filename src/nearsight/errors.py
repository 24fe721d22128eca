"""One exception tree. Every message says what is wrong, where, and what to do, in one line."""


class NearsightError(Exception):
    """Base of every error that nearsight raises on purpose; the command line prints it as one line."""

    #: exit code of the command line
    exit_code: int = 1


class InputError(NearsightError, ValueError):
    """What the user gave (structure, setting, option) cannot be used."""

    exit_code = 2


class StructureError(InputError):
    """A structure is unphysical or incomplete: zero volume, atoms on top of each other, NaN."""


class FileFormatError(InputError):
    """A file is truncated, corrupted, or not of the format its name claims."""


class GridMismatchError(InputError):
    """Two fields, or a field and a structure, do not share their cell and grid."""


class ChargeError(InputError):
    """A density does not integrate to the electron count stated with it."""


class UnknownElementError(InputError):
    """An element has no pseudopotential, no radial table, or was never seen by the model."""


class ModelFileError(InputError):
    """A model file is corrupted, foreign, or of a newer format."""


class StoreError(InputError):
    """A data set or coreset store is missing, incomplete, or of another kind."""


class CompatibilityError(InputError):
    """A model and an engine disagree on pseudopotentials or functional."""


class UnknownNameError(InputError):
    """A name is not registered (engine, method, descriptor, format)."""


class ConvergenceError(NearsightError):
    """An iteration did not converge; the message says what to try."""

    exit_code = 3


class IncompleteError(NearsightError):
    """Part of what was asked for could not be done; the rest is written."""

    exit_code = 4
