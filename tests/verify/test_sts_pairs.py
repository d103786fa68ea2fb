import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.verify.reference import GoldenReference, Reference
from minilm.verify.reference.sts_pairs import (
    MIN_PAIRS,
    SentencePair,
    StsFileError,
    label_correlation,
    pair_similarities,
    read_sts_pairs,
)

from tests.support.verifying import FEW_TEXTS, verify

PAIRS = """sentence1,sentence2,score
A man is playing a guitar.,Someone plays the guitar.,4.6
A boat crosses the lake.,"A ship, at dawn, sails over the lake.",3.9
The dog slept.,The price includes parking.,0.1
She lost her keys.,Her keys are gone.,4.2
Turn left at the bakery.,The violin needs a new string.,0.0
""" + "".join(f"Take {n} apples.,There are {n} apples.,{3 + n % 2}\n" for n in range(30))


def write(folder: Path, text: str, name: str = "pairs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_a_header(tmp_path: Path) -> None:
    pairs = read_sts_pairs(write(tmp_path, PAIRS))
    assert len(pairs) == 35
    expected = SentencePair(
        first="A boat crosses the lake.", second="A ship, at dawn, sails over the lake.", label=3.9
    )
    assert pairs[1] == expected


def test_tsv_without_a_header(tmp_path: Path) -> None:
    pairs = read_sts_pairs(write(tmp_path, "a\tb, c\t1\n\nd\te\t2e0\n" * 20, "pairs.tsv"))
    assert [pair.label for pair in pairs] == [1, 2] * 20
    assert pairs[0].second == "b, c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,1\nc,d\n", "line 2: expected sentence, sentence, score; found 2 fields"),
        ("a,b,1\nc,d,e,2\n", "line 2: .*found 4 fields"),
        ("a,b,1\nc,d,high\n", "line 2: .*found 3 fields with the score 'high'"),
        ("a,b,1\nc,d,nan\n", "line 2: .*with the score 'nan'"),
        ("a,b\n", "line 1: .*found 2 fields"),
        ('a,b,1\n"c,d,2\n', "line 2: unexpected end of data"),
        ("a,b,1\n", "has 1 pair: at least 32 are needed, for fewer the correlation says little"),
        ("a,b,1\nc,d,2\n" * 15, "has 30 pairs: at least 32 are needed"),
        ("", "has 0 pairs"),
        ("a,b,3\n" * 40, "gives every pair the score 3: nothing to rank"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StsFileError, match=message) as e:
        read_sts_pairs(write(tmp_path, text))
    assert e.value.exit_code == 2


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StsFileError, match="cannot read the labelled pairs"):
        read_sts_pairs(tmp_path / "none.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes("é,b,1\n".encode("latin-1"))
    with pytest.raises(StsFileError, match="cannot read the labelled pairs"):
        read_sts_pairs(path)


@given(st.text())
def test_any_text_gives_pairs_or_an_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.csv"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            pairs = read_sts_pairs(path)
        except StsFileError:
            return
        assert len(pairs) >= MIN_PAIRS


def test_the_original_ranks_what_people_rank(tmp_path: Path, reference: Reference) -> None:
    pairs = read_sts_pairs(write(tmp_path, PAIRS))[:5]
    assert label_correlation(pair_similarities(reference, pairs), pairs) > 0.8


def test_the_gate(bundle: Path, tmp_path: Path, reference: Reference) -> None:
    pairs = read_sts_pairs(write(tmp_path, PAIRS))
    report = verify(bundle, reference, variants=["cpu/fp32"], pairs=pairs, corpus=FEW_TEXTS)
    assert report.passed
    (gate,) = (gate for gate in report.variants[0].gates if gate.name == "sts-drop")
    assert gate.figure == pytest.approx(0)
    assert gate.detail.startswith("Spearman correlation ")
    assert gate.worst.count(" / ") in (0, 1)


def test_golden_vectors_score_nothing(bundle: Path) -> None:
    golden = GoldenReference(bundle)
    texts = [sample.text for sample in golden.corpus[:4]]
    pairs = [
        SentencePair(first=texts[0], second=texts[1], label=1),
        SentencePair(first=texts[2], second=texts[3], label=2),
    ]
    report = verify(bundle, golden, variants=["cpu/fp32"], pairs=pairs)
    (skipped,) = report.variants[0].skipped
    assert skipped.gate == "sts-drop"
    assert skipped.reason.startswith(
        "left out, since PyTorch is not installed here; the artifact's Spearman correlation is "
    )
