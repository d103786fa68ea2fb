"""Texts from arguments or a file, never from both."""

from pathlib import Path

import pytest
from minilm.bulk import STDIN
from minilm.cli.inputs import texts_or_file
from minilm.runtime.errors import UsageError


def test_exactly_one_source(tmp_path: Path) -> None:
    assert list(texts_or_file(["a"], None, None)) == ["a"]
    with pytest.raises(UsageError, match="not both"):
        texts_or_file(["a"], STDIN, None)
    with pytest.raises(UsageError, match="no text: give some, or --input FILE"):
        texts_or_file([], None, None)
    with pytest.raises(UsageError, match="applies to --input only"):
        texts_or_file(["a"], None, "field")
