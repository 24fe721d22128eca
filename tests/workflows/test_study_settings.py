"""A study's settings are refused when they are read, not hours later."""

import pytest

from nearsight.errors import InputError
from nearsight.workflows.building import network_settings
from nearsight.workflows.config import StudyConfig, read_yaml


def read(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return read_yaml(path, StudyConfig)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("keep: [0.1, 2]", "'keep'.*not 2"),
        ("keep: [0]", "'keep'"),
        ("keep: []", "'keep'"),
        ("methods: [random, nonsense]", "'methods.1'.*'nonsense'.*known: .*ccs"),
        ("methods: [3]", "'methods.0'.*name: ccs"),
        ("methods: [{name: ccs, betta: 0.1}]", "ccs betta=0.1.*betta"),
        ("methods: [{name: ccs, beta: 2}]", "beta"),
        ("methods: [ccs, ccs]", "methods: .*'ccs' is taken"),
        ("methods: [{name: ccs, label: all}]", "'all' stands for the full data"),
        ("methods: [{name: ccs, label: 'a b'}, {name: ccs, label: a b, beta: 0}]", "'a b' is taken"),
        ("train: {methods: {nonsense: {}}}", "train.methods.*'nonsense'"),
        ("models: {wide: {name: mlp, widht: 3}}", "models.wide.*widht"),
        ("models: {wide: {name: nonsense}}", "models.*'nonsense'.*known"),
        ("schedules: [weeks]", "'schedules.0'"),
        ("epochs: -1", "'epochs'"),
        ("stages: [{methods: [grand], best: 2}]", "'stages.0'.*not both"),
        ("stages: [{methods: [nobody]}]", "stages.0.methods.*'nobody'.*known: random"),
        ("stages: [{best: 2}]", "stages.0.best.*no earlier stage"),
        ("stages: [{keep: [0.1]}, {best: 2, models: [wide]}]", "stages.1.models.*'wide'"),
        ("stages: [{seed: 3}]", "'stages.0.seed': unknown setting"),
        ("full: {models: [wide]}", "full.models.*'wide'"),
        ("energies: {labels: [worst]}", "energies.labels.*'worst'.*best"),
        ("energies: maybe", "'energies'"),
        ("energies: {keep: [3]}", "'energies.keep'"),
        ("coverage: {n_held_out: 0}", "'coverage.n_held_out'"),
        ("sensitivity: {css.beta: [1]}", "sensitivity: unknown 'css'.*known: .*ccs"),
        ("sensitivity: {ccs.beta: []}", "'sensitivity'.*ccs.beta has no values"),
        ("sensitivity: {ccs.beta: [0.1], labels: [x]}", "sensitivity.labels.*'x'"),
        ("sensitivity: [1]", "'sensitivity'.*mapping"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, text, what):
    with pytest.raises(InputError, match=what) as refusal:
        read(tmp_path, text)
    assert str(tmp_path / "study.yaml") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_settings_that_make_sense(tmp_path):
    config = read(tmp_path, "keep: [0.5, 0.01]\nmethods: [random]\ntrain: {methods: {ccs: {beta: 0.1}}}")
    assert config.keep == (0.5, 0.01)
    assert config.train.methods == {"ccs": {"beta": 0.1}}
    assert [variant.label for variant in config.methods] == ["random"]
    assert config.energies is not None
    assert config.coverage is not None


def test_what_is_switched_off_is_absent(tmp_path):
    config = read(tmp_path, "energies: false\ncoverage: false")
    assert (config.energies, config.coverage, config.sensitivity) == (None, None, None)


def test_a_variant_has_a_label_and_settings_over_those_of_its_method(tmp_path):
    text = """
    methods:
      - ccs
      - {name: ccs, beta: 0.1}
      - {name: importance, score: leverage, uniform: 0.5}
      - {name: ccs, label: mild, n_strata: 20}
    train: {methods: {ccs: {n_strata: 50}}}
    """
    config = read(tmp_path, text)
    labels = ["ccs", "ccs β=0.1", "importance (leverage) uniform=0.5", "mild"]
    assert [variant.label for variant in config.methods] == labels
    settings = [config.method_settings(variant) for variant in config.methods]
    assert settings[1] == {"n_strata": 50, "beta": 0.1}
    assert settings[3] == {"n_strata": 20}
    again = StudyConfig.model_validate(config.model_dump())
    assert again == config


def test_epochs_of_the_training_settings_are_a_schedule(tmp_path):
    config = read(tmp_path, "train: {training: {epochs: 5}}")
    assert (config.schedules, config.epochs) == (("epochs",), 5)
    both = read(tmp_path, "schedules: [steps, epochs]\ntrain: {training: {epochs: 5}}")
    assert (both.schedules, both.epochs) == (("steps", "epochs"), 5)
    assert read(tmp_path, "keep: [0.1]").schedules == ("steps",)


def test_a_value_of_the_wrong_type_is_shown() -> None:
    with pytest.raises(InputError, match=r"'network' settings: a value has the wrong .*'inducing': 'many'"):
        network_settings({"name": "gaussian_process", "inducing": "many"})
    with pytest.raises(InputError, match=r"'network' settings: got an unexpected keyword argument 'widht'"):
        network_settings({"name": "mlp", "widht": 3})
