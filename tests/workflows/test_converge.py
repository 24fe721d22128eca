import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from synthetic_study import TRAIN, make_data  # type: ignore[import-not-found]

from nearsight.cli.converge import converge as command
from nearsight.errors import InputError
from nearsight.workflows import converge as module
from nearsight.workflows.config import Config, read_yaml
from nearsight.workflows.converge import ConvergeConfig, converge
from nearsight.workflows.converge_output import record_beside, require_writable, settings_yaml, write_output

#: small models of distances alone
START = {**TRAIN, "descriptor": {"name": "scalar_products", "cutoff": 8.0, "n_angular": 0}}


@pytest.fixture(name="data", scope="module")
def data_fixture(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("converge") / "data.zarr")


def _scripted(monkeypatch, errors):
    """Trainings replaced by errors that a function of the descriptor settles; returns what was asked for."""
    asked = []

    def measured(self, plan):
        asked.append(plan.descriptor.settings())
        return {"errors": [errors(plan.descriptor)], "points_per_second": 1.0, "n_validation": 10}

    monkeypatch.setattr(module._Trials, "_measured", measured)
    return asked


def test_counts_grow_one_after_the_other_until_the_error_stays(data, monkeypatch):
    """An error that falls up to M = 12, M_s = 4 and k = 6 ends there, with two values of patience."""

    def errors(d):
        return 10.0 - min(d.n_neighbours, 12) - 0.3 * min(d.n_angular, 4) - 0.1 * min(d.n_partners, 6) + 5

    _scripted(monkeypatch, errors)
    found = converge(data, ConvergeConfig())
    assert found.descriptor == {
        "name": "scalar_products",
        "n_angular": 4,
        "n_partners": 6,
        "n_neighbours": 12,
    }
    tried = {
        s: [r.value for r in found.rows if r.setting == s]
        for s in ("n_neighbours", "n_angular", "n_partners")
    }
    assert tried == {
        "n_neighbours": [4, 8, 12, 16, 24],
        "n_angular": [0, 2, 4, 6, 8],
        "n_partners": [4, 6, 8, 12],
    }
    assert [r.value for r in found.rows if r.chosen] == [12, 4, 6]
    assert [r.n_features for r in found.rows if r.setting == "n_neighbours"] == [4, 8, 12, 16, 24]
    assert found.ended == []


def test_a_gain_below_the_tolerance_is_none(data, monkeypatch):
    _scripted(monkeypatch, lambda d: 1.0 - 0.001 * d.n_neighbours)
    plan = [{"setting": "n_neighbours", "values": [2, 4, 6, 8]}]
    loose = ConvergeConfig.model_validate({"train": START, "plan": plan, "tolerance": 0.05})
    assert converge(data, loose).descriptor["n_neighbours"] == 2
    found = converge(data, loose.model_copy(update={"tolerance": 0.0}))
    assert found.descriptor["n_neighbours"] == 8
    assert found.ended == ["n_neighbours"]
    assert "longer plan" in found.notes[0]


def test_small_gains_add_up(data, monkeypatch):
    """Each value gains less than the tolerance, two of them more: compared is with what was chosen."""
    _scripted(monkeypatch, lambda d: 1.0 - 0.012 * d.n_neighbours)
    plan = [{"setting": "n_neighbours", "values": [1, 2, 3, 4, 5]}]
    config = ConvergeConfig.model_validate({"train": START, "plan": plan, "tolerance": 0.02})
    assert converge(data, config).descriptor["n_neighbours"] == 5


def test_a_value_that_the_earlier_choice_forbids_ends_its_setting(data, monkeypatch):
    _scripted(monkeypatch, lambda d: 5.0 - d.n_angular + (d.n_neighbours > 4))
    found = converge(data, ConvergeConfig())
    assert found.descriptor["n_neighbours"] == 4
    assert found.descriptor["n_angular"] == 4


@pytest.mark.parametrize(
    ("descriptor", "setting", "values"),
    [("local_frame", "n_neighbours", [2, 4]), ("power_spectrum", "channels", [[2], [3, 2]])],
)
def test_any_descriptor_with_a_plan(data, descriptor, setting, values):
    """Trained in earnest."""
    train = {**TRAIN, "descriptor": {"name": descriptor}}
    plan = [{"setting": setting, "values": values}]
    found = converge(
        data, ConvergeConfig.model_validate({"train": train, "plan": plan, "points": 300, "seeds": 2})
    )
    assert [row.value for row in found.rows] == values
    assert all(row.nrmse_percent > 0 and row.points_per_second > 0 for row in found.rows)
    assert all(row.spread is not None for row in found.rows)
    assert found.n_validation == 400
    json.dumps(found.as_json())


def test_an_interrupted_run_carries_on(data, tmp_path, monkeypatch):
    plan = [{"setting": "n_neighbours", "values": [2, 4, 6]}]
    config = ConvergeConfig.model_validate({"train": START, "plan": plan, "points": 400})
    record, interrupted = tmp_path / "record.json", []

    def errors(descriptor):
        if descriptor.n_neighbours == 6 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return 1.0 / descriptor.n_neighbours

    asked = _scripted(monkeypatch, errors)
    with pytest.raises(KeyboardInterrupt):
        converge(data, config, record=record)
    assert len(json.loads(record.read_text())["rows"]) == 2
    found = converge(data, config, record=record)
    assert [d["n_neighbours"] for d in asked] == [2, 4, 6, 6]
    assert [row.nrmse_percent for row in found.rows] == [1 / 2, 1 / 4, 1 / 6]
    # another seed, or other training settings, are another run
    converge(data, config, record=record, seed=1)
    assert len(asked) == 7
    longer = {**START, "training": {**TRAIN["training"], "steps": 70}}
    converge(data, config.model_copy(update={"train": Config.model_validate(longer)}), record=record, seed=1)
    assert len(asked) == 10


def test_only_training_and_validation_snapshots_are_read(data, monkeypatch):
    """Test data decides nothing."""
    read = set()
    for name in ("density", "structure"):
        real = getattr(type(data), name)

        def spy(self, number, real=real):
            read.add(self.info(number).split)
            return real(self, number)

        monkeypatch.setattr(type(data), name, spy)
    plan = [{"setting": "n_neighbours", "values": [2]}]
    converge(data, ConvergeConfig.model_validate({"train": START, "plan": plan, "points": 400}))
    assert read == {"train", "validation"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"train": {"descriptor": {"name": "test_only"}}}, "no plan for the descriptor 'test_only'"),
        ({"plan": [{"setting": "reach", "values": [3]}]}, "unknown setting reach"),
        ({"plan": [{"setting": "n_neighbours", "values": [8, "many"]}]}, "n_neighbours"),
    ],
)
def test_plans_that_do_not_fit_are_refused_before_training(data, monkeypatch, config, message):
    asked = _scripted(monkeypatch, lambda d: 1.0)
    with pytest.raises(InputError, match=message):
        converge(data, ConvergeConfig.model_validate(config))
    assert asked == []


def test_the_settings_can_be_pasted_into_train_yaml(data, tmp_path, monkeypatch):
    _scripted(monkeypatch, lambda d: 1.0 / d.n_features)
    found = converge(data, ConvergeConfig())
    path = tmp_path / "train.yaml"
    record = record_beside(path)
    record.write_text("{}")
    write_output(path, found, record)
    assert read_yaml(path, Config).descriptor == found.descriptor
    assert yaml.safe_load(settings_yaml(found.descriptor)) == {"descriptor": found.descriptor}
    assert not record.exists()
    with pytest.raises(InputError, match="exists and may hold"):
        require_writable(path)
    with pytest.raises(InputError, match="table"):
        require_writable(tmp_path / "train.txt")
    write_output(tmp_path / "table.json", found, None)
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert np.isfinite([row["nrmse_percent"] for row in rows]).all()


def test_the_command_prints_the_table_and_the_settings(data, tmp_path, monkeypatch, capsys):
    _scripted(monkeypatch, lambda d: 1.0 + 1.0 / d.n_neighbours)
    (tmp_path / "converge.yaml").write_text(
        yaml.safe_dump({"train": START, "plan": [{"setting": "n_neighbours", "values": [2, 4]}]})
    )
    command(data.path, config=tmp_path / "converge.yaml", output=tmp_path / "train.yaml", quiet=False)
    printed = capsys.readouterr()
    assert "1.500" in printed.out
    assert "chosen" in printed.out
    assert "n_neighbours: 4" in printed.err
    assert "longer plan" in printed.err
    assert read_yaml(tmp_path / "train.yaml", Config).descriptor["n_neighbours"] == 4
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["converge.yaml", "train.yaml"]
