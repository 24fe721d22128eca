"""What every selection method must do; plug-ins run it on theirs.

>>> from nearsight.coreset import CoverageCentric
>>> from nearsight.coreset.conformance import check_method
>>> check_method(CoverageCentric())
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from nearsight.coreset.protocol import SCORES, Candidates, Selection, SelectionMethod
from nearsight.errors import InputError

_N = 1200
_COLUMNS = ("features", "density", "gradient", "snapshot")


def check_method(method: SelectionMethod, *, exact_count: bool = True, unbiased: bool = True) -> None:
    """Assert that `method` keeps the protocol.

    Parameters
    ----------
    method : SelectionMethod
    exact_count : bool
        Whether it promises exactly the count asked for; without that it may return fewer points, and
        then has to say so in a note.
    unbiased : bool
        Whether its weights, where it gives any, promise that weighted means are those of all points.
    """
    assert dataclasses.is_dataclass(method), "a method is a frozen dataclass"
    assert isinstance(method, SelectionMethod), "a method has name, needs and select"
    for name, candidates in candidate_sets(method.needs).items():
        for n_keep in (1, 20, 400, _N):
            if n_keep < _N or exact_count:
                _check_selection(method, name, candidates, n_keep, exact_count)
    candidates = candidate_sets(method.needs)["long-tailed"]
    _check_reproducible(method, candidates)
    _check_untouched(method, candidates)
    _check_needs_suffice(method, candidates)
    _check_refusals(method, candidates)
    if unbiased:
        _check_unbiased(method, candidates)


def candidate_sets(needs: frozenset[str] = frozenset()) -> dict[str, Candidates]:
    """Candidates with every column, by what is peculiar about them; `needs` may name a plug-in's scores."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(_N, 7)).astype(np.float32)
    features[:, 3] = 1.0  # a constant column
    features[300:500] = features[0]  # duplicates
    density = rng.lognormal(mean=-3, size=_N)
    density[:50], density[50:60] = 0.0, -1e-12  # vacuum, and the noise of an FFT
    one: dict[str, np.ndarray] = {
        "features": features,
        "density": density,
        "gradient": np.abs(density) * rng.lognormal(size=_N),
        "snapshot": rng.permutation(np.repeat(np.arange(8, dtype=np.int32), _N // 8)),
    }
    flat = {name: np.zeros_like(column) for name, column in one.items()}
    names = [*SCORES, *sorted(needs - {*SCORES, *_COLUMNS})]

    def build(scores: np.ndarray, columns: Mapping[str, np.ndarray]) -> Candidates:
        every = {name: scores * (1 + 0.5 * rng.random(_N)) for name in names}
        return Candidates(_N, every, **{name: column.copy() for name, column in columns.items()})

    return {
        "long-tailed": build(rng.lognormal(sigma=1.5, size=_N), one),
        "all equal": Candidates(_N, {name: np.full(_N, 0.7) for name in names}, **flat),
        "all zero": build(np.zeros(_N), one),
        "one outlier": build(np.concatenate([rng.random(_N - 1), [1e6]]), one),
        "mostly zero": build(np.concatenate([np.zeros(_N - 5), np.ones(5)]), one),
    }


def _select(method: SelectionMethod, candidates: Candidates, n_keep: int, seed: int = 0) -> Selection:
    return method.select(candidates, n_keep, np.random.default_rng(seed))


def _select_or_refuse(method: SelectionMethod, candidates: Candidates, n_keep: int) -> Selection | None:
    try:
        return _select(method, candidates, n_keep)
    except InputError:
        return None


def _check_selection(
    method: SelectionMethod, name: str, candidates: Candidates, n_keep: int, exact_count: bool
) -> None:
    where = f"{method.name} on {name} columns, {n_keep} asked for"
    selection = _select_or_refuse(method, candidates, n_keep)
    if selection is None:
        # a setting may exclude keeping everything, such as a fraction that is always dropped
        assert n_keep == _N, f"{where}: refused"
        return
    indices = selection.indices
    if exact_count:
        assert len(indices) == n_keep, f"{where}: returned {len(indices)}"
    else:
        assert len(indices) <= n_keep, f"{where}: returned more"
        assert len(indices) == n_keep or selection.notes, f"{where}: returned fewer and does not say so"
    assert indices.dtype == np.int64, f"{where}: indices are int64"
    assert (np.diff(indices) > 0).all(), f"{where}: indices ascend and none comes twice"
    assert len(indices) == 0 or (indices[0] >= 0 and indices[-1] < _N), f"{where}: out of range"
    if selection.weights is not None:
        assert selection.weights.shape == indices.shape, f"{where}: one weight a point"
        assert np.isfinite(selection.weights).all(), f"{where}: weights are finite"
        assert (selection.weights > 0).all(), f"{where}: weights are positive"
        assert abs(float(selection.weights.mean()) - 1) < 1e-4, f"{where}: weights have mean one"


def _check_reproducible(method: SelectionMethod, candidates: Candidates) -> None:
    one, two = (_select(method, candidates, 50, seed=5) for _ in range(2))
    assert np.array_equal(one.indices, two.indices), "the same seed selected different points"


def _check_untouched(method: SelectionMethod, candidates: Candidates) -> None:
    columns = {**candidates.scores, **{name: getattr(candidates, name) for name in _COLUMNS}}
    before = {name: column.copy() for name, column in columns.items()}
    _select(method, candidates, 50)
    for name, column in columns.items():
        assert np.array_equal(column, before[name]), f"'{name}' was changed in place"


def _check_needs_suffice(method: SelectionMethod, candidates: Candidates) -> None:
    """What `needs` names is enough, and gives the same points as everything does."""
    enough = _only(candidates, method.needs)
    assert np.array_equal(_select(method, enough, 50).indices, _select(method, candidates, 50).indices)


def _only(candidates: Candidates, names: frozenset[str]) -> Candidates:
    columns = {name: getattr(candidates, name) if name in names else None for name in _COLUMNS}
    return Candidates(_N, {name: s for name, s in candidates.scores.items() if name in names}, **columns)


def _check_refusals(method: SelectionMethod, candidates: Candidates) -> None:
    for n_keep in (0, -1, _N + 1):
        _check_refused(method, candidates, n_keep, f"a count of {n_keep}")
    for name in sorted(method.needs):
        _check_refused(method, _only(candidates, method.needs - {name}), 10, f"candidates without '{name}'")
        for bad, why in _unusable(candidates, name):
            _check_refused(method, _replace(candidates, name, bad), 10, f"'{name}' that is {why}")


def _unusable(candidates: Candidates, name: str) -> list[tuple[np.ndarray, str]]:
    if name == "snapshot":
        return []
    if name == "features":
        features = np.asarray(candidates.features)
        return [(np.full_like(features, np.nan), "not finite"), (features[:, 0], "no table")]
    column = np.asarray(candidates.scores.get(name, getattr(candidates, name, None)))
    unusable = [(np.full(_N, np.nan), "not finite"), (np.stack([column, column], axis=1), "no vector")]
    if name not in _COLUMNS:
        unusable.append((-1.0 - column, "negative"))
    return unusable


def _replace(candidates: Candidates, name: str, column: np.ndarray) -> Candidates:
    if name in _COLUMNS:
        return dataclasses.replace(candidates, **{name: column})  # type: ignore[arg-type]
    return dataclasses.replace(candidates, scores={**candidates.scores, name: column})


def _check_refused(method: SelectionMethod, candidates: Candidates, n_keep: int, what: str) -> None:
    refused = _select_or_refuse(method, candidates, n_keep) is None
    assert refused, f"{method.name} accepted {what}"


def _check_unbiased(method: SelectionMethod, candidates: Candidates, n_draws: int = 150) -> None:
    """Weighted means over the coreset are, on average, those over all points, within 4 standard errors."""
    if _select(method, candidates, 300).weights is None:
        return
    columns = {
        **{f"score {name}": candidates.scores[name] for name in method.needs & set(candidates.scores)},
        "density": np.asarray(candidates.density),
        "gradient": np.asarray(candidates.gradient),
        "feature": np.asarray(candidates.features)[:, 0] ** 2,
    }
    table = np.stack(list(columns.values()))
    means = np.empty((n_draws, len(table)))
    for seed in range(n_draws):
        selection = _select(method, candidates, 300, seed)
        assert selection.weights is not None
        means[seed] = (table[:, selection.indices] * selection.weights).mean(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(n_draws)
    off = np.abs(means.mean(axis=0) - table.mean(axis=1))
    for name, distance, one_error in zip(columns, off, error, strict=True):
        where = f"{method.name}: the weighted mean of the {name}"
        assert distance <= 4 * one_error + 1e-6, (
            f"{where} is off by {distance / one_error:.1f} standard errors"
        )
