"""The manifest's content, there and back, and what is refused of it."""

import copy
import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minilm.runtime import load
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.manifest import VARIANTS, Manifest, VariantName, parse_variant, read
from minilm.runtime.schema import MisfitError


@pytest.fixture(scope="module")
def text(tiny_bundle: Path) -> str:
    return (tiny_bundle / "manifest.json").read_text("utf-8")


@pytest.fixture(scope="module")
def data(text: str) -> Any:
    return json.loads(text)


def test_there_and_back(text: str) -> None:
    manifest = Manifest.from_json(text)
    assert manifest.to_json() == text
    assert Manifest.from_json(manifest.to_json().encode()) == manifest


def test_names(tiny_bundle: Path) -> None:
    manifest = read(tiny_bundle)
    assert [variant.name for variant in manifest.variants] == list(VARIANTS)
    variant = manifest.variant("openvino/int8")
    assert (variant.target, variant.precision) == ("openvino", "int8")
    fewer = dataclasses.replace(manifest, variants=manifest.variants[:1])
    message = "the bundle has no variant 'cpu/int8'; it has: cpu/fp32"
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        fewer.variant("cpu/int8")


def test_names_of_variants_come_apart_and_together() -> None:
    for name in VARIANTS:
        target, precision = VariantName.parse(name)
        assert str(VariantName(target, precision)) == name
    with pytest.raises(ValueError, match="values to unpack"):
        VariantName.parse("cpu")


def _put(data: Any, path: str, value: object) -> str:
    """The manifest as JSON with `value` at a path such as "variants.0.opset"."""
    changed = copy.deepcopy(data)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = changed
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model", None, "model is None, expected an object"),
        ("originals", {"a": "b"}, "originals['a'] is 'b', expected a SHA-256 in hexadecimal"),
        ("model", {}, "expected to be there"),
        ("model.max_tokens", 0, "model.max_tokens is 0, expected a whole number from 3 to "),
        ("model.max_tokens", -1, "model.max_tokens is -1, expected a whole number"),
        ("model.max_tokens", 10_000_000, "model.max_tokens is 10000000, expected a whole number"),
        ("model.max_tokens", True, "model.max_tokens is True, expected a whole number"),
        ("model.max_tokens", 64.0, "model.max_tokens is 64.0, expected a whole number"),
        ("model.dimension", 0, "model.dimension is 0, expected a whole number from 1 to "),
        ("model.normalized", 1, "model.normalized is 1, expected true or false"),
        ("model.pooling", "max", "model.pooling is 'max', expected 'mean' or 'cls'"),
        ("model.id", "a\n::error::b", r"model.id is 'a\n::error::b', expected a text of printable"),
        ("model.id", "\x1b[31m", r"model.id is '\x1b[31m', expected a text of printable"),
        ("model.id", "\ud800", r"model.id is '\ud800', expected a text of printable"),
        ("model.id", "", "model.id is '', expected a text of printable characters"),
        ("model.revision", 3, "model.revision is 3, expected a text"),
        ("model.weights_sha256", "ab", "model.weights_sha256 is 'ab', expected a SHA-256 in hex"),
        ("model.more", 1, "model.more is an unknown field"),
        ("files", 3, "files is 3, expected a list"),
        ("files.0.path", ..., "files[0].path is None, expected to be there"),
        ("files.0.bytes", -1, "files[0].bytes is -1, expected a whole number from 0 to "),
        (
            "files.0.bytes",
            1 << 60,
            "files[0].bytes is 1152921504606846976, expected a whole number",
        ),
        ("files.0.sha256", "A" * 64, "files[0].sha256 is "),
        ("variants.0.name", "tpu/fp32", "variants[0].name is 'tpu/fp32', expected 'cpu/fp32' or "),
        ("variants.1.name", "cpu/fp32", "a second variant is 'cpu/fp32', expected each once"),
        ("variants.0", "cpu/fp32", "variants[0] is 'cpu/fp32', expected an object"),
        ("variants.0.files", [], "variants[0].files is [], expected a list of at least 1 items"),
        ("variants.0.files", ["a"], "a file of cpu/fp32 is 'a', expected one that `files` lists"),
        ("variants.0.opset", "18", "variants[0].opset is '18', expected a whole number"),
        ("variants.0.operators", [], "variants[0].operators is [], expected an object"),
        ("variants.0.inputs.0.shape", [None], "variants[0].inputs[0].shape[0] is None, expected"),
        ("variants.0.backend", "../x", "variants[0].backend is '../x', expected the name of a"),
        ("variants.0.backend_version", "new", "variants[0].backend_version is 'new', expected a v"),
        ("variants.4.instruction_sets", ["sm_x y"], "variants[4].instruction_sets[0] is 'sm_x y'"),
        ("variants.0.float_layers", "x", "variants[0].float_layers is 'x', expected a list"),
        ("toolchain", 3, "toolchain is 3, expected an object"),
        ("toolchain", {"numpy": 2}, "toolchain['numpy'] is 2, expected a text"),
    ],
)
def test_fields_that_do_not_fit_are_named(
    path: str, value: object, message: str, data: Any
) -> None:
    with pytest.raises(InvalidArtifact) as caught:
        Manifest.from_json(_put(data, path, value))
    assert str(caught.value).startswith("manifest.json does not follow format 1: ")
    assert message in str(caught.value)


def test_a_manifest_of_before_originals_were_named(data: Any) -> None:
    assert Manifest.from_json(_put(data, "originals", ...)).originals == {}


@pytest.mark.parametrize(
    "path",
    [
        "../outside", "/etc/passwd", "onnx/../../outside", "", ".", "a//b", "./a", "a\\b",
        "C:/windows", "nul\0byte", "manifest.json", "a/", "x" * 2000,
    ],
)  # fmt: skip
def test_paths_stay_inside(path: str, data: Any) -> None:
    with pytest.raises(InvalidArtifact, match=r"^manifest.json does not follow format 1: "):
        Manifest.from_json(_put(data, "files.0.path", path))


def test_paths_are_listed_once(data: Any) -> None:
    with pytest.raises(
        InvalidArtifact, match=r": a second path is 'tokenizer.json', expected each"
    ):
        Manifest.from_json(_put(data, "files.0.path", "tokenizer.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("{", '{"format": 1,', 1), "the field 'format' is there twice"),
        (lambda text: text.replace('"opset": ', '"opset": NaN, "x": ', 1), "NaN is no JSON number"),
        (lambda _: "[" * 100_000, "nested too deeply"),
        (lambda _: '{"format": ' + "9" * 5000 + "}", "Exceeds the limit"),
        (lambda text: text[:-10], ""),
        (lambda text: "\ufeff" + text, "BOM"),
    ],
)
def test_text_that_is_no_manifest(change: Any, message: str, text: str) -> None:
    with pytest.raises(InvalidArtifact, match=f"^manifest.json is not JSON: .*{message}"):
        Manifest.from_json(change(text))


def test_a_value_nested_too_deeply_to_be_shown() -> None:
    """The parser takes some depths that `ascii`, called further down, does not."""
    nested: list[Any] = []
    for _ in range(sys.getrecursionlimit()):
        nested = [nested]
    assert str(MisfitError("a", nested, "b")) == "a is nested too deeply to be shown, expected b"


@pytest.mark.parametrize("value", [2, 1.0, True, "1", None, [1]])
def test_format_is_the_number_itself(value: object, data: Any) -> None:
    with pytest.raises(
        InvalidArtifact, match=r"^manifest.json has format .*, this loader reads 1: "
    ):
        Manifest.from_json(_put(data, "format", value))


def test_a_variant_alone(data: Any) -> None:
    assert parse_variant(data["variants"][0]).name == "cpu/fp32"
    with pytest.raises(ValueError, match=r"^variant.name is None, expected to be there$"):
        parse_variant({key: value for key, value in data["variants"][0].items() if key != "name"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"hidden_size": 48},
            "manifest.json says that vectors have 32 elements, config.json says ",
        ),
        ({"max_position_embeddings": 63}, "texts have up to 64 tokens, config.json has positions "),
        ([], "config.json is not a JSON object"),
    ],
)
def test_config_has_to_agree(config: object, message: str, text: str) -> None:
    manifest = Manifest.from_json(text)
    with pytest.raises(InvalidArtifact, match=message):
        manifest.check_config(json.dumps(config).encode())
    manifest.check_config(b"{}")
    with pytest.raises(InvalidArtifact, match=r"^config.json is not JSON: "):
        manifest.check_config(b"{")


def _paths(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield from _paths(inner, (*at, key))


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["cpu/int8", "../x", "0", "tokenizer.json", "int8", "mean"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_any_change_is_valid_or_an_invalid_artifact(draw: st.DataObject, data: Any) -> None:
    changed = copy.deepcopy(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        path = draw.draw(st.sampled_from(list(_paths(changed))))
        place: Any = changed
        for part in path[:-1]:
            place = place[part]
        if draw.draw(st.booleans()) and isinstance(place, dict):
            del place[path[-1]]
        else:
            place[path[-1]] = draw.draw(_JSON)
        if not changed:
            break
    try:
        manifest = Manifest.from_json(json.dumps(changed))
    except InvalidArtifact:
        return
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert 3 <= manifest.model.max_tokens <= 1 << 20


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_any_bytes_are_valid_or_an_invalid_artifact(draw: st.DataObject, text: str) -> None:
    content = bytearray(text.encode())
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(content) - 1))
        content[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=3))
    with suppress(InvalidArtifact):
        Manifest.from_json(bytes(content))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_a_changed_bundle_embeds_or_says_why_not(
    draw: st.DataObject, data: Any, tiny_copy: Path
) -> None:
    path = draw.draw(st.sampled_from([p for p in _paths(data) if p[0] in {"model", "variants"}]))
    changed = copy.deepcopy(data)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = draw.draw(_JSON)
    (tiny_copy / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
    with (
        suppress(InvalidArtifact, BackendUnavailable),
        load(tiny_copy, target="cpu", threads=1, on_long="truncate") as encoder,
    ):
        assert encoder.encode("a text").shape == (encoder.dimension,)
