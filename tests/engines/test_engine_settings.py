import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from nearsight.engines import EspressoSettings, GpawSettings, LcaoSettings, PlanewaveSettings, SparcSettings
from nearsight.engines.kpoints import KSampling
from nearsight.engines.registered import ENGINES
from nearsight.errors import InputError

KINDS = [LcaoSettings, PlanewaveSettings, EspressoSettings, SparcSettings, GpawSettings]


@pytest.mark.parametrize("kind", KINDS)
def test_messages_begin_with_the_name_that_the_engine_is_registered_by(kind):
    assert type(ENGINES[kind.engine]().settings) is kind
    with pytest.raises(InputError, match=f"^unknown {kind.engine} setting 'colour'; known: ") as told:
        kind.from_mapping({"colour": 1})
    assert str(told.value).endswith(", ".join(f.name for f in fields(kind)))
    with pytest.raises(InputError, match=f"^{kind.engine} setting max_iterations must be int, not True"):
        kind.from_mapping({"max_iterations": True})


@pytest.mark.parametrize("kind", KINDS)
def test_k_points_come_in_every_kind(kind):
    for value in ("gamma", [2, 2, 1], {"spacing": 0.2}, KSampling(mesh=(3, 1, 1))):
        settings = kind.from_mapping({"k_points": value})
        assert settings.k_points == KSampling.from_setting(value)
        assert pickle.loads(pickle.dumps(settings)) == settings
        with pytest.raises(FrozenInstanceError):
            settings.k_points = value
    with pytest.raises(InputError, match="k_points"):
        kind.from_mapping({"k_points": [2, 2]})


@pytest.mark.parametrize("kind", KINDS)
def test_engines_with_a_spin_setting_say_what_they_have_not(kind):
    expected = "no spin polarisation" if "spin" in {f.name for f in fields(kind)} else "unknown"
    with pytest.raises(InputError, match=expected):
        kind.from_mapping({"magmoms": [2.0]})
