"""Loading: what may go wrong, each with its own words."""

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime import load
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, ToolkitError, UsageError
from minilm.runtime.hardware import host as hosts

from tests.runtime.conftest import HostMaker


def _rewrite(bundle: Path, **changes: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_what_fits_this_machine(tiny_bundle: Path) -> None:
    with load(str(tiny_bundle)) as encoder:
        assert encoder.why.startswith(f"{encoder.variant.name}: ")
        assert "; cores allowed: " in encoder.why
        assert encoder.manifest.model.id == "tiny-bert"


@pytest.mark.parametrize(("threads", "words"), [(1, " 1 thread;"), (3, " 3 threads;")])
def test_threads_are_told(threads: int, words: str, tiny_bundle: Path) -> None:
    with load(tiny_bundle, target="cpu", threads=threads) as encoder:
        assert words in encoder.why


@pytest.mark.parametrize(
    ("threads", "message"),
    [
        (0, "threads must be greater than 0, got 0"),
        (-2, "threads must be greater than 0, got -2"),
        (1.5, "threads must be a whole number, got 1.5"),
        (True, "threads must be a whole number, got True"),
        ("2", "threads must be a whole number, got '2'"),
    ],
)
def test_bad_threads(threads: Any, message: str, tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        load(tiny_bundle, threads=threads)


def test_no_bundle(tmp_path: Path) -> None:
    where = tmp_path / "nothing"
    message = (
        f"no bundle at {where}: expected a directory, found nothing; `toolkit build` makes one"
    )
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$") as caught:
        load(where)
    assert caught.value.exit_code == 3


def test_a_file_is_no_bundle(tiny_bundle: Path) -> None:
    with pytest.raises(InvalidArtifact, match="expected a directory, found a file"):
        load(tiny_bundle / "manifest.json")


def test_a_directory_that_is_no_bundle(tmp_path: Path) -> None:
    message = f"{tmp_path} has no manifest.json: it is not a bundle that `toolkit build` made"
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        load(tmp_path)


def test_a_later_format(tiny_copy: Path) -> None:
    _rewrite(tiny_copy, format=2)
    message = (
        "manifest.json has format 2, this loader reads 1: upgrade minilm-toolkit, or build the "
        "bundle again with this version"
    )
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        load(tiny_copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "manifest.json is not JSON: "),
        ("[]", "manifest.json has no field 'format': not a bundle's manifest"),
        ("{}", "manifest.json has no field 'format': not a bundle's manifest"),
        ('{"format": 1}', "manifest.json does not follow format 1: "),
    ],
)
def test_a_broken_manifest(text: str, message: str, tiny_copy: Path) -> None:
    (tiny_copy / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}"):
        load(tiny_copy)


def test_a_manifest_that_is_not_text(tiny_copy: Path) -> None:
    (tiny_copy / "manifest.json").write_bytes(b"\xff\xff")
    with pytest.raises(InvalidArtifact, match=r"^manifest.json is not JSON: 'utf-8' codec"):
        load(tiny_copy)


def test_a_missing_extra(
    tiny_bundle: Path, make_host: HostMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = make_host(backends={}, providers=())
    monkeypatch.setattr(hosts, "detect_host", lambda *_, **__: bare)
    for target, extra in (("cpu", "cpu"), ("openvino", "openvino"), ("cuda", "cuda")):
        with pytest.raises(BackendUnavailable) as caught:
            load(tiny_bundle, target=target)
        assert f'pip install "minilm-toolkit[{extra}]"' in str(caught.value)
        assert caught.value.exit_code == 4


def test_a_backend_that_is_too_old(
    tiny_bundle: Path, make_host: HostMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_host(backends={"openvino": "2023.1.0"})
    monkeypatch.setattr(hosts, "detect_host", lambda *_, **__: old)
    with pytest.raises(BackendUnavailable, match=r"needs openvino \S+ or later and 2023\.1\.0 is"):
        load(tiny_bundle, target="openvino")


def test_a_manifest_without_tokenizer(tiny_copy: Path) -> None:
    data = json.loads((tiny_copy / "manifest.json").read_text("utf-8"))
    files = [entry for entry in data["files"] if entry["path"] != "tokenizer.json"]
    _rewrite(tiny_copy, files=files)
    (tiny_copy / "tokenizer.json").unlink()
    with pytest.raises(InvalidArtifact, match=r"^the bundle has no tokenizer\.json: its manifest"):
        load(tiny_copy)


def test_a_tokenizer_that_is_missing(tiny_copy: Path) -> None:
    (tiny_copy / "tokenizer.json").unlink()
    for level in ("full", "sizes", "none"):
        with pytest.raises(
            InvalidArtifact, match=r"^tokenizer\.json is missing from .*: build the"
        ):
            load(tiny_copy, verify=level)


def test_a_load_that_fails_leaves_no_thread(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is still reading the tokenizer when the interpreter ends would abort it."""
    from minilm.runtime.text import tokenizer

    ended = threading.Event()

    def slow(data: bytes) -> None:
        time.sleep(0.2)
        ended.set()

    monkeypatch.setattr(tokenizer, "TextTokenizer", slow)
    (tiny_copy / "onnx/model.onnx").write_bytes(
        bytes((tiny_copy / "onnx/model.onnx").stat().st_size)
    )
    before = threading.active_count()
    with pytest.raises(InvalidArtifact, match=r"^onnx/model.onnx was altered"):
        load(tiny_copy, target="cpu", precision="fp32")
    assert ended.is_set()
    assert threading.active_count() == before


def test_every_error_has_a_base_and_a_code_of_its_own() -> None:
    from minilm.runtime import errors

    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, ToolkitError)
        assert kind.exit_code == (70 if kind is ToolkitError else vars(kind)["exit_code"])
        assert kind is ToolkitError or 1 <= kind.exit_code <= 6
    assert set(errors.__all__) == {
        name for name, value in vars(errors).items() if isinstance(value, type)
    }


@pytest.mark.parametrize("target", ["cpu", "openvino", "native"])
def test_tokens_beyond_the_vocabulary(target: str, tiny_copy: Path) -> None:
    """OpenVINO would give a vector for them."""
    path = tiny_copy / "tokenizer.json"
    data = json.loads(path.read_text("utf-8"))
    data["model"]["vocab"]["zebra"] = len(data["model"]["vocab"]) + 1
    path.write_text(json.dumps(data), encoding="utf-8")
    with (
        load(tiny_copy, target=target, verify="none") as encoder,
        pytest.raises(InvalidArtifact, match=r"the id \d+, and the model of config.json knows "),
    ):
        encoder.encode(["a text", "of a zebra"])


def test_a_limit_over_that_of_the_native_weights(tiny_copy: Path) -> None:
    path = tiny_copy / "manifest.json"
    data = json.loads(path.read_text("utf-8"))
    data["model"]["max_tokens"] += 1
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InvalidArtifact, match=r"up to 65 tokens, and native/.* was made for 64$"):
        load(tiny_copy, target="native")


def test_a_variant_by_its_name(tiny_bundle: Path) -> None:
    with load(tiny_bundle, variant="cpu/int8") as encoder:
        assert encoder.variant.name == "cpu/int8"
        assert (encoder.options.target, encoder.options.precision) == ("cpu", "int8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "cpu/int4"}, r"^unknown variant 'cpu/int4': choose one of cpu/fp32, cpu/int8"),
        ({"variant": "cpu"}, r"^unknown variant 'cpu': choose one of cpu/fp32, "),
        ({"variant": "cpu/int8", "target": "cpu"}, r"^variant='cpu/int8' says target and prec"),
        ({"variant": "cpu/int8", "precision": "fp32"}, r"^variant='cpu/int8' says target and pre"),
    ],
)
def test_variants_that_cannot_be_meant(
    arguments: dict[str, str], message: str, tiny_bundle: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        load(tiny_bundle, **arguments)  # type: ignore[arg-type]  # strings all
