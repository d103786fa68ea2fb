"""The public surface, and what importing it costs."""

import subprocess
import sys
from pathlib import Path

import pytest
from minilm import runtime

_START = """
import sys
from minilm.runtime import load
encoder = load(sys.argv[1], target=sys.argv[2], precision=sys.argv[3])
encoder.encode("first vector")
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""

_NOT_FOR_THE_FIRST_VECTOR = {
    "torch",
    "transformers",
    "sentence_transformers",
    "optimum",
    "onnx",
    "nncf",
    "scipy",
    "pandas",
    "huggingface_hub",
    "requests",
    "httpx",
    "urllib3",
    "tqdm",
    "rich",
    "typer",
    "click",
    "filelock",
    "asyncio",
    "multiprocessing",
    "concurrent",
    "ssl",
    "http",
    "sqlite3",
    "unittest",
}


def _modules_after_the_first_vector(bundle: Path, variant: str) -> set[str]:
    command = [sys.executable, "-c", _START, str(bundle), *variant.split("/")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_exported_names() -> None:
    assert runtime.__all__ == [
        "Chunk",
        "EncodeReport",
        "Encoder",
        "SearchHit",
        "TruncationWarning",
        "errors",
        "load",
    ]
    for name in runtime.__all__:
        assert hasattr(runtime, name)


def test_the_first_vector_imports_only_what_it_needs(tiny_bundle: Path) -> None:
    loaded = _modules_after_the_first_vector(tiny_bundle, "cpu/int8")
    assert {"numpy", "onnxruntime", "tokenizers"} <= loaded
    assert not loaded & (_NOT_FOR_THE_FIRST_VECTOR | {"openvino"})


def test_openvino_does_without_onnxruntime(tiny_bundle: Path) -> None:
    loaded = _modules_after_the_first_vector(tiny_bundle, "openvino/bf16")
    assert {"numpy", "openvino", "tokenizers"} <= loaded
    assert not loaded & {"onnxruntime", "torch", "transformers", "tqdm", "rich"}


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_loader_imports_no_backend() -> None:
    loaded = _modules_after("from minilm.runtime import load")
    assert "minilm.runtime.loading" in loaded
    assert not {"numpy", "onnxruntime", "openvino", "tokenizers"} & loaded


def test_errors_and_manifests_do_without_numpy() -> None:
    loaded = _modules_after("import minilm.runtime.errors, minilm.runtime.manifest")
    assert "minilm.runtime.manifest" in loaded
    assert not {"numpy", "minilm.runtime.encoder", "onnxruntime", "openvino"} & loaded


def test_names_are_listed_before_they_are_imported() -> None:
    code = "from minilm import runtime; print(set(runtime.__all__) <= set(dir(runtime)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_name_that_is_not_there() -> None:
    message = "^module 'minilm.runtime' has no attribute 'lode'$"
    with pytest.raises(AttributeError, match=message):
        runtime.lode  # noqa: B018 - to ask is the test
