"""Parity on held-out text does not hang on the texts that int8 was calibrated with.

The texts of `minilm.verify.reference.corpus` are in no calibration corpus, so they are held out.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from minilm.optimize.calibration.corpus import texts
from minilm.pipeline import BuildOptions, build
from minilm.runtime import load
from minilm.verify.reference import corpus

Vectors = npt.NDArray[np.float32]


def _build(output: Path, calibration: tuple[str, ...]) -> Path:
    """A build in the user's stage cache: after the first one, neither graph is made again."""
    variants = ("cpu/fp32", "cpu/int8")
    build(BuildOptions(output=output, variants=variants, calibration=calibration, verify=False))
    return output


def _embed(bundle: Path, precision: str) -> Vectors:
    with load(bundle, target="cpu", precision=precision, threads=1, on_long="truncate") as encoder:
        return encoder.encode(corpus.corpus_texts())


def test_halves_of_the_corpus_give_the_same_parity(tmp_path: Path) -> None:
    own = texts()
    bundles = [_build(tmp_path / str(half), own[half::2]) for half in range(2)]
    original = _embed(bundles[0], "fp32")
    cosines = [(_embed(bundle, "int8") * original).sum(axis=1) for bundle in bundles]
    worst = [(float(found.min()), corpus.corpus_texts()[found.argmin()]) for found in cosines]
    (first, _), (second, _) = worst
    assert min(first, second) >= 0.99, worst
    assert abs(first - second) <= 0.002, worst
