"""`Herding`: kept points whose mean features are those of all points, in a kernel's feature space.

Y. Chen, M. Welling, A. Smola, "Super-samples from kernel herding", UAI 2010 (arXiv:1203.3472), after
M. Welling, ICML 2009: w ← w + μ − φ(x_t), x_{t+1} = argmax ⟨w, φ(x)⟩. The error of the mean falls as 1/n
where a random sample's falls as 1/√n. φ are random Fourier features of an RBF kernel (A. Rahimi,
B. Recht, NeurIPS 2007).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearsight.coreset.columns import feature_blocks, feature_rows, feature_table, median_distance
from nearsight.coreset.protocol import METHODS, Candidates, Selection, checked_count
from nearsight.coreset.shards import Pools, pools_note
from nearsight.errors import InputError


@dataclass(frozen=True, eq=False)
class RandomFourier:
    """φ(x) = √(2/D) cos(Wx + b): ⟨φ(x), φ(y)⟩ ≈ exp(−|x − y|²/2ℓ²).

    Attributes
    ----------
    frequencies : ndarray (n_features, D), float32
        W, normal with the width 1/ℓ.
    phases : ndarray (D,), float32
        b, uniform in [0, 2π).
    """

    frequencies: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, n_features: int, size: int, length: float, rng: np.random.Generator) -> "RandomFourier":
        """`size` features of a kernel of this length."""
        frequencies = rng.normal(scale=1 / length, size=(n_features, size))
        phases = rng.uniform(0, 2 * np.pi, size)
        return cls(frequencies.astype(np.float32), phases.astype(np.float32))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """φ of each row (m, D), float32."""
        phi = rows @ self.frequencies
        phi += self.phases
        np.cos(phi, out=phi)
        phi *= np.float32(np.sqrt(2 / len(self.phases)))
        return phi

    def mean(self, features: np.ndarray) -> np.ndarray:
        """μ, the mean of φ over all rows (D,), streamed."""
        total = np.zeros(len(self.phases))
        for _, rows in feature_blocks(features):
            total += self(rows).sum(axis=0, dtype=np.float64)
        return total / len(features)


@METHODS.register("herding")
@dataclass(frozen=True)
class Herding:
    """Greedy matching of the mean of all points, in random pools one after the other.

    The target is the mean over all points, and w is handed from pool to pool: each makes up for what
    those before it missed.

    Parameters
    ----------
    length : float or None
        Length of the kernel; None takes the median distance between points.
    size : int
        Number D of random Fourier features.
    shard : int
        Points in a pool.
    oversample : int
        Points looked at for each point kept, at most.

    Raises
    ------
    InputError
        A setting outside its range.
    """

    name: ClassVar[str] = "herding"

    length: float | None = None
    size: int = 256
    shard: int = 4000
    oversample: int = 20

    def __post_init__(self) -> None:
        if self.length is not None and not self.length > 0:
            raise InputError(f"the length of the kernel is positive, not {self.length}")
        if self.size < 1:
            raise InputError(f"herding needs at least one random feature, not {self.size}")
        self._pools  # noqa: B018  (checks the settings)

    @property
    def _pools(self) -> Pools:
        return Pools(self.shard, self.oversample)

    @property
    def needs(self) -> frozenset[str]:
        """The features."""
        return frozenset({"features"})

    def select(self, candidates: Candidates, n_keep: int, rng: np.random.Generator) -> Selection:
        """See `SelectionMethod.select`."""
        n_keep = checked_count(n_keep, candidates.n_points)
        features = feature_table(self.name, candidates)
        length = self.length or median_distance(features, rng)
        phi = RandomFourier.draw(features.shape[1], self.size, length, rng)
        mean = phi.mean(features)
        pools = self._pools.draw(len(features), n_keep, rng)
        w, chosen = mean.copy(), []
        for pool in pools:
            picked = herd(phi(feature_rows(features, pool.members)), mean, w, pool.take)
            chosen.append(pool.members[picked])
        return Selection(np.concatenate(chosen), notes=(pools_note(pools, len(features)),))


def herd(phi: np.ndarray, mean: np.ndarray, w: np.ndarray, n_keep: int) -> np.ndarray:
    """Positions of `n_keep` of the rows, in the order picked, none twice; moves `w` on in place.

    Parameters
    ----------
    phi : ndarray (m, D), float32
    mean, w : ndarray (D,), float64
    n_keep : int
        1 … m.
    """
    if n_keep >= len(phi):
        w += len(phi) * mean - phi.sum(axis=0, dtype=np.float64)
        return np.arange(len(phi))
    picked = np.empty(n_keep, dtype=np.int64)
    for n in range(n_keep):
        fit = phi @ w.astype(phi.dtype)
        fit[picked[:n]] = -np.inf
        picked[n] = np.argmax(fit)
        w += mean - phi[picked[n]]
    return picked
