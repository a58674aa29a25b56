from __future__ import annotations

import pytest

from charrnn import errors
from charrnn.errors import CharRNNError, Flag, Parameter, SettingsError

KINDS = [each for each in vars(errors).values() if isinstance(each, type)]


@pytest.mark.parametrize("kind", [each for each in KINDS if issubclass(each, Exception)])
def test_every_error_can_be_caught_as_one(kind: type[Exception]) -> None:
    assert issubclass(kind, CharRNNError)
    assert str(kind("a message")) == "a message"


def test_a_parameter_is_an_argument_in_python_and_an_option_on_the_command_line() -> None:
    error = SettingsError(Parameter("top_k"), " must be 0 or more; see ", Parameter("device"))
    assert str(error) == "top_k must be 0 or more; see device"
    assert error.for_command_line() == "--top-k must be 0 or more; see --device"


def test_a_flag_is_switched_on_with_true_in_python() -> None:
    error = SettingsError("start over with ", Flag("fresh"))
    assert str(error) == "start over with fresh=True"
    assert error.for_command_line() == "start over with --fresh"


def test_what_is_not_marked_stays_as_it_is() -> None:
    error = CharRNNError("cannot read top_k {0} %s `device`")
    assert error.for_command_line() == str(error) == "cannot read top_k {0} %s `device`"
