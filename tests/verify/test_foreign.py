"""Directories that other tools made: no manifest, no loader of ours."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.verify import Report, find_graphs, load_original, open_foreign, verify_foreign
from minilm.verify.candidates import ForeignCandidate
from minilm.verify.candidates import foreign as candidates_module
from minilm.verify.candidates.graph_session import match_outputs, open_session
from minilm.verify.reference import PyTorchReference, Reference
from minilm.verify.reference import baseline as baseline_module
from onnx import TensorProto, helper

from tests.support.verifying import FEW_TEXTS

CONFIGURATION = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
)


@pytest.fixture
def directory(bundle: Path, tmp_path: Path, original: PyTorchReference) -> Path:
    """What a Hub repository with one ONNX graph looks like."""
    destination = tmp_path / "foreign"
    (destination / "1_Pooling").mkdir(parents=True)
    (destination / "onnx").mkdir()
    for name in CONFIGURATION:
        shutil.copyfile(original.directory / name, destination / name)
    shutil.copyfile(bundle / "onnx/model.onnx", destination / "onnx/model.onnx")
    return destination


def verify(directory: Path, reference: Reference, **options: Any) -> Report:
    candidates = open_foreign(directory, find_graphs(directory))
    return verify_foreign(directory, candidates, reference, corpus=FEW_TEXTS, **options)


def test_a_good_conversion_passes(directory: Path, reference: Reference) -> None:
    said: list[str] = []
    report = verify(directory, reference, on_progress=said.append)
    assert [gate.name for _, gate in report.failures] == []
    assert [variant.name for variant in report.variants] == ["onnx/model.onnx"]
    assert report.notes == ("gates integrity and reference: left out, since there is no manifest",)
    assert said[-1] == "judging onnx/model.onnx"
    (note,) = report.variants[0].notes
    assert note == "gates interface and operators: left out, since there is no manifest"


def test_token_vectors_are_pooled_as_the_directory_says(
    directory: Path, reference: Reference
) -> None:
    path = directory / "onnx/model.onnx"
    model = onnx.load(str(path))
    kept = [output for output in model.graph.output if output.name == "last_hidden_state"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.save(model, str(path))
    report = verify(directory, reference)
    assert report.passed
    assert any("has one output only" in note for note in report.variants[0].notes)
    config = directory / "1_Pooling/config.json"
    config.write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    report = verify(directory, reference)
    assert {gate.name for _, gate in report.failures} >= {"cosine-mean", "padded-min"}


def test_a_tokenizer_limit_of_128_is_found(directory: Path, reference: Reference) -> None:
    path = directory / "sentence_bert_config.json"
    path.write_text('{"max_seq_length": 128}', encoding="utf-8")
    report = verify(directory, reference)
    assert {gate.name for _, gate in report.failures} >= {"facts", "limit", "cosine-min"}


def weights_stored_in_int8(path: Path) -> None:
    """Keeps every weight of a product in int8 and multiplies in float32."""
    model = onnx.load(str(path))
    stored = {item.name: item for item in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in stored]
    for place, node in enumerate(products):
        values = onnx.numpy_helper.to_array(stored[node.input[1]])
        scale = np.abs(values).max(axis=0) / 127
        names = [f"kept_{place}_{kind}" for kind in ("code", "scale", "wide")]
        code = np.round(values / scale).astype(np.int8)
        model.graph.initializer.append(onnx.numpy_helper.from_array(code, names[0]))
        scales = scale.astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(scales, names[1]))
        new = helper.make_node("DequantizeLinear", names[:2], names[2:], axis=1)
        model.graph.node.insert(0, new)
        node.input[1] = names[2]
    onnx.save(model, str(path))


def test_int8_storage_is_told_from_int8_arithmetic(directory: Path, reference: Reference) -> None:
    weights_stored_in_int8(directory / "onnx/model.onnx")
    report = verify(directory, reference)
    assert [gate.name for _, gate in report.failures] == ["precision"]
    (_, gate), *_ = report.failures
    assert gate.figure == 0
    assert "computed in float32 from weights stored in int8" in gate.detail


def test_another_width_stops_before_the_graphs(directory: Path, tiny_model: Path) -> None:
    report = verify(directory, PyTorchReference(str(tiny_model)))
    assert "facts" in {gate.name for _, gate in report.failures}
    assert report.variants == ()
    assert "no graph was judged" in report.notes[-1]


def test_graphs_are_found_in_order(directory: Path) -> None:
    (directory / "openvino").mkdir()
    (directory / "openvino/openvino_model.xml").touch()
    assert find_graphs(directory) == ["onnx/model.onnx", "openvino/openvino_model.xml"]


def test_a_directory_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match="is no model directory: no ONNX file"):
        find_graphs(tmp_path)
    with pytest.raises(InvalidArtifact, match="is no directory"):
        find_graphs(tmp_path / "none")


def test_a_graph_that_is_not_there(directory: Path) -> None:
    with pytest.raises(InvalidArtifact, match=r"has no graph 'a.onnx'; it has: onnx/model\.onnx"):
        open_foreign(directory, ["a.onnx"])


def test_without_pytorch_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baseline_module, "torch_installed", lambda: False)
    with pytest.raises(BackendUnavailable, match="is compared with PyTorch"):
        load_original(None)


def test_without_the_library_that_reads_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates_module, "can_read_graph", lambda _: False)
    with pytest.raises(BackendUnavailable, match=r"reads model\.onnx is not installed"):
        ForeignCandidate(directory, "onnx/model.onnx")


def spoil(name: str, content: Any) -> Callable[[Path], None]:
    text = content if isinstance(content, str) else json.dumps(content)

    def fault(directory: Path) -> None:
        (directory / name).write_text(text, encoding="utf-8")

    return fault


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (spoil("modules.json", "{"), r"cannot read .*modules\.json"),
        (spoil("modules.json", "[" * 99999), r"cannot read .*modules\.json"),
        (spoil("modules.json", {}), r"modules\.json holds no JSON list"),
        (spoil("1_Pooling/config.json", {"pooling_mode_max_tokens": True}), "mean and CLS pooling"),
        (spoil("1_Pooling/config.json", {"pooling_mode": "max"}), "asks for no pooling"),
        (spoil("onnx/model.onnx", "no graph"), r"cannot read .*model\.onnx"),
        (spoil("tokenizer.json", "{}"), r"cannot read .*tokenizer\.json"),
        (lambda directory: (directory / "tokenizer.json").unlink(), r"has no tokenizer\.json"),
    ],
)
def test_bad_configurations(directory: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(directory)
    with pytest.raises(InvalidArtifact, match=message) as e:
        ForeignCandidate(directory, "onnx/model.onnx")
    assert e.value.exit_code == 3


def with_weights_outside(directory: Path, location: str) -> Path:
    path = directory / "onnx/model.onnx"
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="w", size_threshold=1024)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save(model, str(path))
    return path.with_name("w")


def test_weights_in_the_graphs_own_folder_count(directory: Path, reference: Reference) -> None:
    whole = (directory / "onnx/model.onnx").stat().st_size
    weights = with_weights_outside(directory, "sub/any.name")
    weights.parent.joinpath("sub").mkdir()
    weights.rename(weights.parent / "sub/any.name")
    candidate = ForeignCandidate(directory, "onnx/model.onnx")
    assert candidate.files[1:] == [directory / "onnx/sub/any.name"]
    assert sum(path.stat().st_size for path in candidate.files) == pytest.approx(whole, rel=0.01)
    assert verify(directory, reference).passed


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../w", r"keeps weights in '\.\./w': expected a file in its own folder"),
        ("sub/../../w", "expected a file in its own folder"),
        ("/etc/hostname", "expected a file in its own folder"),
        ("C:\\w", "expected a file in its own folder"),
        ("*/_ORT_MEM_ADDR_/*", "expected a file in its own folder"),
        ("absent", "keeps weights in 'absent', which is not in "),
    ],
)
def test_weights_outside_the_graphs_folder_are_refused(
    directory: Path, location: str, message: str
) -> None:
    with_weights_outside(directory, location).rename(directory / "w")
    with pytest.raises(InvalidArtifact, match=message) as e:
        ForeignCandidate(directory, "onnx/model.onnx")
    assert e.value.exit_code == 3


def test_the_limit_is_looked_for_where_sentence_transformers_does(directory: Path) -> None:
    assert ForeignCandidate(directory, "onnx/model.onnx").limit == 256
    (directory / "sentence_bert_config.json").unlink()
    assert ForeignCandidate(directory, "onnx/model.onnx").limit == 512
    spoil("tokenizer_config.json", {"model_max_length": 256})(directory)
    assert ForeignCandidate(directory, "onnx/model.onnx").limit == 256
    spoil("tokenizer_config.json", {"model_max_length": 1000})(directory)
    assert ForeignCandidate(directory, "onnx/model.onnx").limit == 512
    (directory / "tokenizer_config.json").unlink()
    (directory / "config.json").unlink()
    with pytest.raises(InvalidArtifact, match="does not say how many tokens"):
        ForeignCandidate(directory, "onnx/model.onnx")


def test_pooling_by_its_newer_name(directory: Path) -> None:
    spoil("1_Pooling/config.json", {"pooling_mode": "cls"})(directory)
    assert ForeignCandidate(directory, "onnx/model.onnx").pooling == "cls"
    (directory / "1_Pooling/config.json").unlink()
    assert ForeignCandidate(directory, "onnx/model.onnx").pooling == "mean"


def test_a_graph_with_other_inputs(tmp_path: Path) -> None:
    images = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["pixels"], ["result"])
    graph = helper.make_graph([node], "images", [images], [result])
    opsets = [helper.make_opsetid("", 17)]
    path = tmp_path / "images.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    with pytest.raises(InvalidArtifact, match="takes the inputs pixels: expected input_ids"):
        open_session(path)


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    for name in ("a.onnx", "a.xml", "a.bin"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(InvalidArtifact, match=name):
            open_session(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("a.onnx", "onnxruntime", "cpu"), ("a.xml", "openvino", "openvino")],
)
def test_without_the_library_that_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BackendUnavailable, match=rf'pip install "minilm-toolkit\[{extra}\]"') as e:
        open_session(tmp_path / name)
    assert e.value.exit_code == 4


def test_outputs_are_told_apart() -> None:
    flat = np.zeros((2, 8), np.float32)
    deep = np.zeros((2, 5, 8), np.float32)
    found = match_outputs({"pooler_output": flat, "last_hidden_state": deep})
    assert found.sentence is None
    assert found.states is deep
    assert match_outputs({"embedding": flat, "hidden": deep}).sentence is flat
    assert match_outputs({"sentence_embedding": flat, "other": flat + 1}).sentence is flat
    with pytest.raises(InvalidArtifact, match=r"the graph gives a \(2, 8\), b \(2, 8\): expected"):
        match_outputs({"a": flat, "b": flat})
