import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearsight.provenance import digest, generator, machine, software, to_plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float
    widths: tuple[int, ...]
    where: Path = Path("a/b")


@given(PLAIN)
def test_what_json_can_hold_is_left_alone(value: object) -> None:
    assert to_plain(value) == value


def test_everything_else_becomes_plain() -> None:
    value = {1: Settings(0.5, (3, 4)), "array": np.arange(3), "number": np.float32(0.5), "set": {"b", "a"}}
    expected = {
        "1": {"rate": 0.5, "widths": [3, 4], "where": "a/b"},
        "array": [0, 1, 2],
        "number": 0.5,
        "set": ["a", "b"],
    }
    assert json.loads(json.dumps(to_plain(value))) == expected


def test_a_digest_sees_every_part_of_an_array() -> None:
    array = np.arange(6.0)
    variants = [array, array.reshape(2, 3), array.astype(np.float32), array[::-1], array + 1e-15]
    hashes = [digest(v) for v in variants]
    assert len(set(hashes)) == len(variants)
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in hashes)


def test_a_digest_depends_on_content_and_not_on_layout() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    assert digest(Settings(0.5, (3,))) != digest(Settings(0.5, (4,)))


def test_values_do_not_run_into_each_other() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"])}) == 4
    assert len({digest(1, 23), digest(12, 3), digest(123), digest("123")}) == 4


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError):
        digest(object())


def test_a_digest_is_the_same_in_every_process() -> None:
    code = "from nearsight.provenance import digest; print(digest({'alpha', 'beta', 'gamma', 'delta'}))"

    def printed(hash_seed: str) -> str:
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert len(printed("1").strip()) == 16
    assert printed("1") == printed("2")


def test_the_same_seed_and_keys_give_the_same_stream() -> None:
    assert np.array_equal(generator(7, "split", 3).random(5), generator(7, "split", 3).random(5))
    assert generator(7, np.int64(3)).random() == generator(7, 3).random()


def test_every_other_purpose_has_its_own_stream() -> None:
    purposes = [(0,), (1,), (0, 0), (0, 0, 0), (0, 1), (1, 0), (0, "a"), (0, "b"), (0, "a", 1), (0, 1, "a")]
    first = {generator(*purpose).random() for purpose in purposes}
    assert len(first) == len(purposes)


def test_software_and_machine_can_be_written_down() -> None:
    recorded = json.loads(json.dumps({**software(), **machine()}))
    assert {"python", "nearsight", "numpy", "torch"} <= recorded.keys()
    assert recorded["numpy"] == np.__version__
    assert recorded["cores"] >= 1
    assert recorded["processor"]
