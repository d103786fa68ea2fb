"""Settings of a model directory that change its vectors: understood, or refused by name.

A bundle has no place for them, so a model that uses one would be converted into another model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from minilm.convert.layout import ModelLayout
from minilm.convert.model_files import read_object, read_optional_object
from minilm.runtime.errors import SourceError

__all__ = ["check_settings", "transformer_settings"]

_SETTINGS_FILES: Final = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Names of the transformer module's settings that sentence-transformers tries, in its order."""

_TEXT_ONLY: Final = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_TRANSFORMER: Final[Mapping[str, tuple[Any, ...]]] = {
    "do_lower_case": (False, True),
    "transformer_task": ("feature-extraction",),
    "modality_config": (_TEXT_ONLY,),
    "module_output_name": ("token_embeddings",),
    "unpad_inputs": (False,),
    **{
        setting: ({},)
        for setting in (
            "processing_kwargs",
            "model_args",
            "model_kwargs",
            "tokenizer_args",
            "processor_kwargs",
            "config_args",
            "config_kwargs",
        )
    },
}
"""Settings of the transformer module with their supported values; null always is."""

_CONFIG: Final[Mapping[str, tuple[Any, ...]]] = {
    "auto_map": ({},),
    "quantization_config": (),
    "attn_implementation": ("eager", "sdpa"),
    "_attn_implementation": ("eager", "sdpa"),
    "_attn_implementation_internal": ("eager", "sdpa"),
}
"""Settings of `config.json` that load code or change the weights, with their supported values."""

_OF_LOADERS: Final = (
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
"""Files that transformers reads to choose a tokenizer or a processor; each may name code."""

_BERT_TOKENIZERS: Final = (None, "BertTokenizer", "BertTokenizerFast")


def transformer_settings(transformer: Path) -> tuple[Path, dict[str, Any]]:
    """The settings of the transformer module and their file, as sentence-transformers finds them.

    Raises:
        SourceError: the file cannot be read, or holds something else than a JSON object.
    """
    paths = [transformer / name for name in _SETTINGS_FILES]
    for path in paths:
        settings = read_optional_object(path)
        if settings:
            return path, settings
    return paths[0], {}


def check_settings(directory: Path, layout: ModelLayout) -> None:
    """Refuse settings that the bundle's vectors would not follow. Nothing is imported.

    Raises:
        SourceError: names the file, the setting, its value and what is supported.
    """
    transformer = layout.transformer
    if (transformer / "adapter_config.json").exists():
        raise SourceError(
            f"{transformer} has an adapter (adapter_config.json): merge it into the weights first"
        )
    path = transformer / "config.json"
    config = read_object(path)
    for setting, supported in _CONFIG.items():
        _expect(path, config, setting, supported)
    for name in _OF_LOADERS:
        path = transformer / name
        _expect(path, read_optional_object(path), "auto_map", ({},))
    path, settings = transformer_settings(transformer)
    for setting in sorted(settings.keys() - {"max_seq_length"}):
        _expect(path, settings, setting, _TRANSFORMER.get(setting, ()))
    pooling = layout.pooling / "config.json"
    _expect(pooling, read_object(pooling), "include_prompt", (True,))
    _check_model(directory / "config_sentence_transformers.json", config, layout)
    _check_case(transformer, lower=path if settings.get("do_lower_case") else None)


def _expect(
    path: Path, settings: Mapping[str, Any], setting: str, supported: tuple[Any, ...]
) -> None:
    value = settings.get(setting)
    if value is None or value in supported:
        return
    advice = f"supported is {' or '.join(map(repr, supported))}" if supported else "not supported"
    raise SourceError(f"{path} sets {setting} to {value!r}: {advice}")


def _check_model(path: Path, config: Mapping[str, Any], layout: ModelLayout) -> None:
    settings = read_optional_object(path)
    _expect(path, settings, "model_type", ("SentenceTransformer",))
    # The dot product of vectors of unit length is their cosine.
    similarities = ("cosine", "dot") if layout.normalized else ("cosine",)
    _expect(path, settings, "similarity_fn_name", similarities)
    _expect(path, settings, "truncate_dim", (config.get("hidden_size"),))
    prompts = settings.get("prompts") or {}
    name = settings.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(
        isinstance(prompt, str | None) for prompt in prompts.values()
    ):
        raise SourceError(f"{path} has prompts {prompts!r}, expected an object of strings")
    prompt = prompts.get(name) if isinstance(name, str) else None
    if name is not None and prompt != "":
        raise SourceError(
            f"{path} sets default_prompt_name to {name!r}, so that every text gets the prompt "
            f"{prompt!r}: default prompts are not supported; set it to null and pass the prompt to "
            "`encode`"
        )


def _check_case(transformer: Path, *, lower: Path | None) -> None:
    """Refuse a tokenizer that transformers would load otherwise than `tokenizer.json` says.

    Args:
        transformer: Directory of the tokenizer.
        lower: File that has sentence-transformers lower the case of every text, or None.
    """
    path = transformer / "tokenizer.json"
    normalizer = read_object(path).get("normalizer")
    if lower is not None and not _lowers_case(normalizer):
        raise SourceError(
            f"{lower} sets do_lower_case to True, but {path} keeps upper case: give the tokenizer "
            "a lower-casing normalizer, or set do_lower_case to false"
        )
    settings_path = transformer / "tokenizer_config.json"
    settings = read_optional_object(settings_path)
    if settings.get("tokenizer_class") not in _BERT_TOKENIZERS or not isinstance(normalizer, dict):
        return
    # transformers' BertTokenizerFast sets these three in the normalizer, whatever it says.
    for setting, default, field in (
        ("do_lower_case", True, "lowercase"),
        ("strip_accents", None, "strip_accents"),
        ("tokenize_chinese_chars", True, "handle_chinese_chars"),
    ):
        wanted = settings.get(setting, default)
        if normalizer.get(field, wanted) != wanted:
            raise SourceError(
                f"{settings_path} sets {setting} to {wanted!r}, but the normalizer of {path} has "
                f"{field} {normalizer[field]!r}: make them agree"
            )


def _lowers_case(normalizer: Any) -> bool:
    if not isinstance(normalizer, dict):
        return False
    parts = normalizer.get("normalizers")
    if isinstance(parts, list):
        return any(map(_lowers_case, parts))
    return normalizer.get("type") == "Lowercase" or normalizer.get("lowercase") is True
