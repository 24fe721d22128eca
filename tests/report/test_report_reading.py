"""What is wrong with a study is said in one line that names the place."""

import json

import numpy as np
import pytest

from nearsight.errors import FileFormatError, InputError
from nearsight.report import read_field, read_study, write_report


def test_a_good_study_is_read(with_fields):
    content, folder = with_fields
    study = read_study(folder)
    assert [run.id for run in study.runs] == [run["id"] for run in content["runs"]]
    assert study.runs[0].seconds.total == pytest.approx(sum(content["runs"][0]["seconds"].values()))
    data = read_field(folder, study.fields[0])
    assert set(data.densities) == {"truth", "saed", *content["fields"][0]["predictions"]}
    assert data.densities["truth"].dtype == np.float32


def test_unknown_keys_are_ignored(content, write, tmp_path):
    content["later"] = content["runs"][0]["later"] = 1
    assert read_study(write(content, tmp_path / "study")).title == content["title"]


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) > 20
    return message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), "other", "format"),
        (("version",), 3, "version"),
        (("runs",), [], "runs"),
        (("runs", 0, "kept"), 1.5, "runs.0.kept"),
        (("runs", 3, "nrmse_percent"), float("nan"), "runs.3.nrmse_percent"),
        (("runs", 1, "nmae_percent"), "many", "runs.1.nmae_percent"),
        (("runs", 1, "id"), "all-s0", "'all-s0' is used twice"),
        (("runs", 0, "history", "step"), [1.0], "equally long"),
        (("runs", 0, "per_snapshot", 0, "n_atoms"), 0, "runs.0.per_snapshot.0.n_atoms"),
        (("fields", 0, "predictions"), {"nobody": "truth"}, "'nobody'"),
        (("baseline", "mean"), {}, "baseline.mean"),
    ],
)
def test_wrong_content(with_fields, write, tmp_path, path, value, words):
    content, folder = with_fields
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(FileFormatError) as caught:
        write_report(write(content, folder), tmp_path / "page.html")
    assert words in one_line(caught)
    assert not (tmp_path / "page.html").exists()


def test_missing_and_broken_json(tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        read_study(tmp_path / "nowhere")
    one_line(caught)
    (tmp_path / "study.json").write_text('{"format": "nearsight-study",\n "version"')
    with pytest.raises(FileFormatError, match="not JSON") as caught:
        read_study(tmp_path)
    one_line(caught)
    (tmp_path / "study.json").write_text(json.dumps([1, 2]))
    with pytest.raises(FileFormatError, match="not a study") as caught:
        read_study(tmp_path)
    one_line(caught)


def rewrite(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive) | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truth": None}, "truth"),
        ({"cell": None}, "cell"),
        ({"cell": np.eye(2)}, "must be"),
        ({"positions": np.zeros((3, 3))}, "positions"),
        ({"saed": np.ones((4, 4, 4))}, "'saed' has shape"),
        ({"truth": np.full((12, 12, 12), np.nan)}, "NaN"),
        ({"saed": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_wrong_fields(with_fields, changes, words):
    _, folder = with_fields
    rewrite(folder / "fields" / "al-300K-test-0.npz", **changes)
    entry = read_study(folder).fields[0]
    with pytest.raises(FileFormatError) as caught:
        read_field(folder, entry)
    message = one_line(caught)
    assert words in message
    assert "al-300K-test-0.npz" in message


def test_truncated_missing_and_foreign_field_files(with_fields):
    _, folder = with_fields
    entry = read_study(folder).fields[0]
    path = folder / entry.file
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="cannot be read") as caught:
        read_field(folder, entry)
    one_line(caught)
    path.unlink()
    with pytest.raises(InputError, match="does not exist") as caught:
        read_field(folder, entry)
    one_line(caught)
    outside = entry.model_copy(update={"file": "../secret.npz"})
    with pytest.raises(InputError, match="outside of the study") as caught:
        read_field(folder, outside)
    one_line(caught)
