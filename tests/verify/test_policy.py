import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime.manifest import VARIANTS
from minilm.verify.gates import GATES
from minilm.verify.policy import BUILT_IN, PolicyError, load_policy


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_built_in_thresholds() -> None:
    found = {name: BUILT_IN.thresholds(name) for name in VARIANTS}
    lowest = {name: rules["cosine-min"] for name, rules in found.items()}
    means = {name: rules["cosine-mean"] for name, rules in found.items()}
    assert lowest == {
        "cpu/fp32": 0.999999,
        "cpu/int8": 0.99,
        "openvino/bf16": 0.9999,
        "openvino/int8": 0.99,
        "cuda/fp16": 0.9999,
        "cuda/int8": 0.96,
        "native/int8": 0.998,
    }
    assert (means["cpu/int8"], means["openvino/int8"], means["cuda/int8"]) == (0.998, 0.998, 0.99)
    assert found["cpu/int8"]["batch-invariance"] == 0.9999
    native = found["native/int8"]
    assert (native["cosine-mean"], native["batch-invariance"], native["repeat"]) == (
        *(0.9995, 0.9999999, 0.0),
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_adjustable_gate_has_a_threshold(variant: str) -> None:
    adjustable = {name for name, spec in GATES.items() if spec.adjustable}
    assert set(BUILT_IN.thresholds(variant)) == adjustable


def test_the_narrower_section_wins(tmp_path: Path) -> None:
    text = """
        ["cpu/int8"]
        cosine-min = 0.995
        [int8]
        cosine-min = 0.97
        kendall = false
        ["*"]
        cosine-min = 0.9
        unit-length = 0.01
    """
    policy = load_policy(write(tmp_path, text))
    lowest = {name: policy.thresholds(name)["cosine-min"] for name in VARIANTS}
    assert lowest["cpu/int8"] == 0.995
    assert lowest["openvino/int8"] == lowest["cuda/int8"] == 0.97
    assert lowest["cpu/fp32"] == lowest["cuda/fp16"] == 0.9
    assert policy.thresholds("cpu/fp32")["unit-length"] == 0.01
    assert policy.thresholds("cuda/int8")["kendall"] is None
    assert policy.thresholds("cpu/fp32")["kendall"] == 0.999
    assert policy.name == "policy.toml"
    assert BUILT_IN.thresholds("cpu/int8")["cosine-min"] == 0.99


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[int8]\n\ncosine_min = 1\n",
            "line 3: unknown gate 'cosine_min' .did you mean 'cosine-min'..; known: unit-len",
        ),
        ("[int8]\n\nspeed = 1\n", "line 3: unknown gate 'speed'; known: unit-len"),
        ("[int8]\n[cpu]\nlimit = 1\n", "line 2: 'cpu' is no section of a policy; expected one of"),
        ("cosine-min = 1\n", "line 1: 'cosine-min' is no section of a policy"),
        ("[int8]\nlimit = 1\n", "line 2: the gate 'limit' has no threshold to set"),
        ("[int8]\n'cosine-min' = 2\n", "line 2: cosine-min = 2; expected a number from -1 to 1"),
        ("[int8]\ncosine-min = nan\n", "line 2: cosine-min = nan; expected a number"),
        ("[int8]\ncosine-min = true\n", "line 2: cosine-min = True; expected a number"),
        ("[int8]\ncosine-min = 'x'\n", "line 2: cosine-min = 'x'; expected a number"),
        ("[fp32]\ntop10 = 1\n[int8]\ntop10 = []\n", "line 4: top10 = .*expected a number"),
        (f"int8 = {'[' * 9999}", "is not TOML: "),
        ("[int8\n", r"is not TOML: .*\(at line 1, column 6\)"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message) as e:
        load_policy(write(tmp_path, text))
    assert e.value.exit_code == 2


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot read the policy"):
        load_policy(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="cannot read the policy"):
        load_policy(path)


@given(
    st.one_of(
        st.text(),
        st.dictionaries(
            st.sampled_from(["*", "int8", "cpu/int8", "x y"]),
            st.dictionaries(
                st.sampled_from(["cosine-min", "top10", "limit", "z"]),
                st.sampled_from(["1", "false", "0.5", "'a'", "nan"]),
            ),
        ).map(
            lambda sections: "\n".join(
                f'["{name}"]\n' + "\n".join(f"{gate} = {x}" for gate, x in values.items())
                for name, values in sections.items()
            )
        ),
    )
)
def test_any_text_gives_a_policy_or_a_policy_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            policy = load_policy(path)
        except PolicyError:
            return
        assert set(policy.thresholds("cpu/int8")) == set(BUILT_IN.thresholds("cpu/int8"))
