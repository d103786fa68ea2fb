"""The example of CONTRIBUTING.md: a new backend is one file and one line."""

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from minilm.runtime import Encoder, load
from minilm.runtime.backends import BACKENDS, Backend
from minilm.runtime.errors import BackendUnavailable

_MODULE = "minilm.runtime.backends.onnxruntime_pool"


def _blocks() -> list[str]:
    text = Path("CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Adding a backend")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def new_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's file and line, as if they were in the package."""
    file, line = _blocks()
    path = tmp_path / "onnxruntime_pool.py"
    path.write_text(file, encoding="utf-8")
    spec = spec_from_file_location(_MODULE, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, _MODULE, module)
    name, record = eval("{" + line + "}", {"Backend": Backend}).popitem()
    monkeypatch.setitem(cast("dict[str, Backend]", BACKENDS), name, record)


@pytest.mark.usefixtures("new_backend")
def test_loaded_by_the_name_in_the_manifest(tiny_copy: Path, tiny: Encoder) -> None:
    path = tiny_copy / "manifest.json"
    manifest: Any = json.loads(path.read_text("utf-8"))
    for variant in manifest["variants"]:
        if variant["name"] == "cpu/fp32":
            variant["backend"] = "onnxruntime-pool"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    texts = ["a cat sleeps", "", "words " * 50] * 20
    with load(tiny_copy, target="cpu", precision="fp32", on_long="truncate") as encoder:
        assert encoder.variant.backend == "onnxruntime-pool"
        np.testing.assert_allclose(encoder.encode(texts), tiny.encode(texts), atol=1e-5)


def test_a_backend_that_is_not_in_the_table(tiny_copy: Path) -> None:
    path = tiny_copy / "manifest.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"onnxruntime"', '"onnxruntime-pool"'), encoding="utf-8")
    with pytest.raises(BackendUnavailable, match="needs 'onnxruntime-pool', which this version"):
        load(tiny_copy, target="cpu")
