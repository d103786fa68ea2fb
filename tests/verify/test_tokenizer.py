"""The tokenizer of an artifact of unknown origin."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.verify.tokenizer import TokenizedCorpus, open_tokenizer, token_counter


def no_unknown(data: Any) -> None:
    del data["model"]["vocab"]["[UNK]"]


def no_such_special_token(data: Any) -> None:
    """The library panics: its error is no Exception."""
    data["post_processor"]["special_tokens"].pop("[SEP]")


@pytest.mark.parametrize("fault", [no_unknown, no_such_special_token])
def test_a_tokenizer_that_fails_is_an_invalid_artifact(
    fault: Any, tiny_model: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_model / "tokenizer.json", tmp_path))
    data = json.loads(path.read_text("utf-8"))
    fault(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    for use in (
        lambda: token_counter(tmp_path)("日本"),
        lambda: TokenizedCorpus(open_tokenizer(tmp_path), ["日本"], 8),
    ):
        with pytest.raises(InvalidArtifact, match=r"tokenizer\.json"):
            use()
