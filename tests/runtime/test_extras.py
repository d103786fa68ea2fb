import importlib
import re

import pytest
from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.extras import require_extra


def test_the_install_line() -> None:
    with (
        pytest.raises(
            BackendUnavailable,
            match="^Drawing needs no_such_package, which cannot be imported .*: "
            + re.escape('pip install "minilm-toolkit[cli]"')
            + "$",
        ),
        require_extra("cli", "Drawing"),
    ):
        importlib.import_module("no_such_package")
