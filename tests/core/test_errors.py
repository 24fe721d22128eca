import inspect

import pytest

from nearsight import errors

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_every_error_is_in_the_tree_with_a_meaning_and_an_exit_code(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.NearsightError)
    assert cls.__doc__
    assert 1 <= cls.exit_code <= 125


def test_what_the_user_gave_wrong_is_a_value_error_too() -> None:
    bad_input = [cls for cls in TREE if issubclass(cls, errors.InputError)]
    assert len(bad_input) > 5
    assert all(issubclass(cls, ValueError) and cls.exit_code == 2 for cls in bad_input)
    assert not issubclass(errors.ConvergenceError, ValueError)
