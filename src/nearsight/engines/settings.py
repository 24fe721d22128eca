"""What the settings of all engines share: how they are read from a file, and how ranges are checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_args

from nearsight.engines.kpoints import KSampling
from nearsight.errors import InputError

#: what other codes call what engines with the setting `spin` have not
_MAGNETIC = ("magnetic_moments", "magmoms", "nspin", "spin_polarised", "spin_polarized", "multiplicity")
_NO_SPIN = (
    "this engine has no spin polarisation, every state holds two electrons; for magnetic materials the "
    "unpolarised density is what it can give: leave it out or say 'unpolarised'"
)


@dataclass(frozen=True)
class EngineSettings:
    """Base of the settings of one engine, a frozen dataclass each.

    Attributes
    ----------
    engine : str
        The engine's registered name, which messages begin with.
    """

    engine: ClassVar[str]

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from the keys and values of a file; raises `InputError` for what it does not take."""
        known = {f.name: f.type for f in fields(cls)}
        for key, value in settings.items():
            if key in _MAGNETIC and "spin" in known:
                raise InputError(f"{cls.engine} setting {key}: {_NO_SPIN}")
            if key not in known:
                raise InputError(f"unknown {cls.engine} setting '{key}'; known: {', '.join(known)}")
            # k-points come in several kinds, which `KSampling` tells apart
            if key != "k_points" and not _fits(value, known[key]):
                wanted = getattr(known[key], "__name__", str(known[key]))
                raise InputError(f"{cls.engine} setting {key} must be {wanted}, not {value!r}")
        return cls(**settings)

    def _settle_k_points(self, value: Any) -> None:
        object.__setattr__(self, "k_points", KSampling.from_setting(value))

    def _require_positive(self, *names: str) -> None:
        """Refuse numbers that are not positive; None, the default of some, is none of them."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{self.engine} setting {name} must be positive, not {value}")

    def _require_at_least_one(self, *names: str) -> None:
        """Refuse counts below one; None, the default of some, is none of them."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{self.engine} setting {name} must be at least 1, not {value}")

    def _require_functional(self, wanted: str, known: Iterable[str]) -> None:
        """Refuse a functional that the engine's program has no name for."""
        names = list(known)
        if wanted not in names:
            raise InputError(f"{self.engine} is used with {', '.join(names)}, not with '{wanted}'")


class SelfConsistentSettings(EngineSettings):
    """What nearsight's own self-consistent cycles are set with; the engines' dataclasses have the values."""

    k_points: KSampling
    smearing_kelvin: float
    spacing: float | None
    density_tolerance: float
    max_iterations: int
    mixing: float
    mixing_depth: int
    kerker: float | None
    memory_limit_mb: float
    spin: str
    threads: int | None

    def __post_init__(self) -> None:
        self._settle_k_points(self.k_points)
        if self.spin != "unpolarised":
            raise InputError(f"{self.engine} setting spin: {_NO_SPIN}, not {self.spin!r}")
        self._require_positive("density_tolerance", "mixing", "memory_limit_mb", "spacing")
        self._require_at_least_one("max_iterations", "mixing_depth", "threads")
        if not self.smearing_kelvin >= 0 or self.mixing > 1 or not (self.kerker or 0.0) >= 0:
            raise InputError(
                f"{self.engine} settings need smearing_kelvin ≥ 0, kerker ≥ 0 and 0 < mixing ≤ 1"
            )


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type; whole numbers are numbers, true and false are not."""
    kinds = get_args(kind) or (kind,)
    if float in kinds:
        kinds = (*kinds, int)
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
