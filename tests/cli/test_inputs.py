"""Texts from arguments or a file, never from both."""

from pathlib import Path

import pytest
from minilm.bulk import STDIN, Record
from minilm.cli.inputs import InputOptions, kept_fields
from minilm.runtime.errors import UsageError


def test_exactly_one_source() -> None:
    assert list(InputOptions().open(["a"])) == [Record("a")]
    with pytest.raises(UsageError, match="not both"):
        InputOptions(source=STDIN).open(["a"])
    with pytest.raises(UsageError, match="no text: give some, or --input FILE"):
        InputOptions().open([])


@pytest.mark.parametrize(
    ("options", "name"),
    [(InputOptions(field="body"), "--field"), (InputOptions(input_format="csv"), "--format")],
)
def test_options_of_a_file_without_a_file(options: InputOptions, name: str) -> None:
    with pytest.raises(UsageError, match="applies to --input only") as failure:
        options.open(["a"])
    assert failure.value.option == name


def test_an_argument_that_is_no_text() -> None:
    with pytest.raises(UsageError, match=r"^arguments, text 2: a lone surrogate, U\+DCFF"):
        list(InputOptions().open(["a", "b\udcff"]))


@pytest.mark.parametrize(
    ("names", "kept"),
    [(None, None), ([], None), (["none"], ()), (["a, b", "c", "a"], ("a", "b", "c"))],
)
def test_kept_fields(names: list[str] | None, kept: tuple[str, ...] | None) -> None:
    assert kept_fields(names) == kept


def test_options_reach_the_reader(tmp_path: Path) -> None:
    source = tmp_path / "reviews"
    source.write_text("id,body\n7,a text\n")
    options = InputOptions(source=source, field="body", input_format="csv")
    assert list(options.open([], keep=None)) == [Record("a text", {"id": "7"})]
    assert list(options.open([])) == [Record("a text")]
