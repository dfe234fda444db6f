"""Loads the codec of a model from its folder, without its network."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from jobs.catalog import Family
from jobs.errors import ModelUnavailable
from workers.engines.families.codec import Codec
from workers.engines.families.detection import family_of, model_type_of


def load_codec(
    folder: Path,
    *,
    family: Family | None = None,
    languages: Mapping[str, str] | None = None,
    prefix: str | None = None,
    trust_remote_code: bool = False,
) -> Codec:
    """Load the tokenizer of a model. Nothing is downloaded.

    Args:
        folder: The folder of the model's files.
        family: The model's family. None: it is found by the files.
        languages: BCP 47 tag -> the model's own code, for languages that are not found by their tags.
        prefix: The prefix of every text, for T5. It may have `{source}` and `{target}` in it, the English names of languages.
        trust_remote_code: Whether to run Python code that the folder holds.

    Raises:
        ModelUnavailable: The model is of no family that is made for translation, or the files of its tokenizer are damaged.
    """
    from transformers import AutoConfig, AutoTokenizer

    found = family or family_of(folder)
    if found is None:
        known = "Marian, M2M100, NLLB, mBART or T5"
        raise ModelUnavailable(
            f"a model of type {model_type_of(folder)} does not translate here: choose one of {known}"
        )
    try:
        with warnings.catch_warnings():
            # Marian's tokenizer recommends a package for normalising that it does not use while it encodes
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=trust_remote_code
            )
        return Codec.of(found, tokenizer, config, languages=languages, prefix=prefix)
    except Exception as error:  # tokenizers' errors for broken files have no common class
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelUnavailable(f"the tokenizer in {folder} cannot be loaded: {reason}") from error
