import numpy as np
import pytest
from ase.units import kB

from nearsight.sampling.equilibration import judge_equilibration, standard_error

N_ATOMS, TARGET, MEMORY = 32, 600.0, 10.0
FLUCTUATION = kB * TARGET * np.sqrt(1.5 * N_ATOMS)


def _correlated(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """An autoregressive series of unit variance, whose correlation falls by 1/e in `memory` steps."""
    keep = np.exp(-1 / memory)
    series = np.empty(n)
    series[0] = rng.normal()
    for i in range(1, n):
        series[i] = keep * series[i - 1] + np.sqrt(1 - keep**2) * rng.normal()
    return series


def test_standard_error_of_correlated_samples() -> None:
    """The scatter of many means is what one series says of its own."""
    rng = np.random.default_rng(5)
    series = [_correlated(2000, 10.0, rng) for _ in range(150)]
    scatter = np.std([s.mean() for s in series])
    exact = np.sqrt((1 + 2 / np.expm1(0.1)) / 2000)
    assert scatter == pytest.approx(exact, rel=0.2)
    assert np.mean([standard_error(s) for s in series]) == pytest.approx(exact, rel=0.15)


def test_independent_samples_and_few() -> None:
    samples = np.random.default_rng(1).normal(size=4000)
    assert standard_error(samples) == pytest.approx(1 / np.sqrt(4000), rel=0.2)
    assert standard_error(samples[:2]) == np.inf
    assert standard_error(np.ones(50)) == 0.0
    # what a short series cannot show is told: least spread 2, two independent samples
    assert standard_error(np.zeros(41), fluctuation=2.0, memory=10.0) == pytest.approx(2.0 * np.sqrt(21 / 41))


def _judge(temperature: float, drift: float, n: int = 1000) -> str:
    rng = np.random.default_rng(7)
    temperatures = temperature + TARGET * np.sqrt(2 / (3 * N_ATOMS)) * _correlated(n, 5.0, rng)
    energies = FLUCTUATION * (_correlated(n, 5.0, rng) + drift * np.linspace(0, 1, n))
    return judge_equilibration(temperatures, energies, TARGET, N_ATOMS, MEMORY).failure


def test_rest_is_told_from_drift() -> None:
    assert _judge(TARGET, 0.0) == ""
    assert "drifts by +" in _judge(TARGET, 5.0)
    assert "drifts by -" in _judge(TARGET, -5.0)
    assert "K in place of 600 K" in _judge(450.0, 0.0)
    assert "too few steps" in _judge(TARGET, 0.0, n=12)


def test_noise_alone_seldom_alarms() -> None:
    """Short runs at equilibrium, as in the demo recipes: three standard errors let nearly all pass."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        temperatures = TARGET * (1 + np.sqrt(2 / (3 * N_ATOMS)) * _correlated(150, MEMORY / 2, rng))
        energies = FLUCTUATION * _correlated(150, MEMORY, rng)
        alarms += not judge_equilibration(temperatures, energies, TARGET, N_ATOMS, MEMORY).equilibrated
    assert alarms <= 5
