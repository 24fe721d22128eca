"""What every selection method must do; plug-ins run it on theirs.

>>> from nearsight.coreset import CoverageCentric
>>> from nearsight.coreset.conformance import check_method
>>> check_method(CoverageCentric())
"""

import dataclasses

import numpy as np

from nearsight.coreset.protocol import SelectionMethod
from nearsight.errors import InputError

_N = 2000


def check_method(method: SelectionMethod, *, exact_count: bool = True) -> None:
    """Assert that `method` keeps the protocol.

    Parameters
    ----------
    method : SelectionMethod
    exact_count : bool
        Whether it promises exactly the count asked for; without that it may return fewer points, and
        then has to say so in a note.
    """
    assert dataclasses.is_dataclass(method), "a method is a frozen dataclass"
    for name, scores in _score_sets().items():
        for n_keep in (1, 20, 700):
            _check_selection(method, name, scores, n_keep, exact_count)
    _check_reproducible(method)
    _check_scores_untouched(method)
    _check_refusals(method)


def _score_sets() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "long-tailed": rng.lognormal(sigma=1.5, size=_N),
        "all equal": np.full(_N, 0.7),
        "all zero": np.zeros(_N),
        "one outlier": np.concatenate([rng.random(_N - 1), [1e6]]),
    }


def _check_selection(
    method: SelectionMethod, name: str, scores: np.ndarray, n_keep: int, exact_count: bool
) -> None:
    where = f"{method.name} on {name} scores, {n_keep} asked for"
    selection = method.select(scores, n_keep, np.random.default_rng(0))
    indices = selection.indices
    if exact_count:
        assert len(indices) == n_keep, f"{where}: returned {len(indices)}"
    else:
        assert len(indices) <= n_keep, f"{where}: returned more"
        assert len(indices) == n_keep or selection.notes, f"{where}: returned fewer and does not say so"
    assert indices.dtype == np.int64, f"{where}: indices are int64"
    assert (np.diff(indices) > 0).all(), f"{where}: indices ascend and none comes twice"
    assert len(indices) == 0 or (indices[0] >= 0 and indices[-1] < len(scores)), f"{where}: out of range"
    if selection.weights is not None:
        assert selection.weights.shape == indices.shape, f"{where}: one weight a point"
        assert (selection.weights > 0).all(), f"{where}: weights are positive"
        assert abs(float(selection.weights.mean()) - 1) < 1e-4, f"{where}: weights have mean one"


def _check_reproducible(method: SelectionMethod) -> None:
    scores = _score_sets()["long-tailed"]
    one, two = (method.select(scores, 50, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.indices, two.indices), "the same seed selected different points"


def _check_scores_untouched(method: SelectionMethod) -> None:
    scores = _score_sets()["long-tailed"]
    before = scores.copy()
    method.select(scores, 50, np.random.default_rng(5))
    assert np.array_equal(scores, before), "the scores were changed in place"


def _check_refusals(method: SelectionMethod) -> None:
    rng = np.random.default_rng(0)
    scores = _score_sets()["long-tailed"]
    for n_keep in (0, -1, _N + 1):
        _check_refused(method, scores, n_keep)
    if method.needs_scores:
        for bad in (None, np.full(_N, np.nan), -scores, scores.reshape(2, -1)):
            _check_refused(method, bad, 10)
    else:
        assert len(method.select(None, 10, rng, n_points=_N)) == 10, "needs no scores, so works without"


def _check_refused(method: SelectionMethod, scores: np.ndarray | None, n_keep: int) -> None:
    try:
        method.select(scores, n_keep, np.random.default_rng(0), n_points=_N)
    except InputError:
        return
    raise AssertionError(f"{method.name} accepted unusable scores or a count of {n_keep}")
