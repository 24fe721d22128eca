"""A study's settings are refused when they are read, not hours later."""

import pytest

from nearsight.errors import InputError
from nearsight.workflows.config import StudyConfig, read_yaml


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("keep: [0.1, 2]", "'keep'.*not 2"),
        ("keep: [0]", "'keep'"),
        ("methods: [random, nonsense]", "'nonsense'.*known: .*ccs"),
        ("train: {methods: {nonsense: {}}}", "train.methods.*'nonsense'"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, text, what):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=what) as refusal:
        read_yaml(path, StudyConfig)
    assert str(path) in str(refusal.value)


def test_settings_that_make_sense(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("keep: [0.5, 0.01]\nmethods: [random]\ntrain: {methods: {ccs: {beta: 0.1}}}")
    config = read_yaml(path, StudyConfig)
    assert config.keep == (0.5, 0.01)
    assert config.train.methods == {"ccs": {"beta": 0.1}}
