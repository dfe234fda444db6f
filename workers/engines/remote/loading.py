"""Makes the engine of a remote model."""

import json
from typing import Final
from urllib.parse import urlsplit

import httpx2

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.options import parse_options
from workers.engines.remote.engine import RemoteEngine, RemoteModel
from workers.engines.remote.options import RemoteOptions

DEFAULT_SLOTS: Final = 16
"""The requests in flight if the card gives no slots."""


def load_engine(alias: str, card: ModelCard, *, slots: int = DEFAULT_SLOTS) -> RemoteEngine:
    """Return the engine of a remote model, after asking the server for its models.

    A server that has no list of models is taken as it is.

    Raises:
        ModelUnavailable: The server does not answer, refuses our key, or does not have the model; or an option is wrong.
    """
    model = model_of(alias, card)
    engine = RemoteEngine(model, slots=slots)
    try:
        status, _, content = engine.ask("models")
    except httpx2.TransportError as error:
        engine.close()
        raise ModelUnavailable(
            f"model {alias}: the server at {model.url} does not answer: {type(error).__name__}: {error}"
        ) from error
    if status in (401, 403):
        engine.close()
        raise ModelUnavailable(
            f"model {alias}: the server at {model.url} refuses our key (status {status}): set the variable that the "
            "option key_variable names"
        )
    if status == 200 and (known := _names(content)) and model.name not in known:
        engine.close()
        raise ModelUnavailable(
            f"model {alias}: the server at {model.url} has no model {model.name!r}; it has {', '.join(known[:8])}: name "
            "one in the option model"
        )
    return engine


def described(alias: str, card: ModelCard) -> dict[str, str]:
    """Return what a receipt says about a remote model: the server's host, the model's name there, and whether its texts follow
    from their seeds. Nothing says which weights the server has.
    """
    model = model_of(alias, card, with_key=False)
    host = urlsplit(model.url).netloc
    return {
        "model_revision": card.revision or f"{host}/{model.name}",
        "server": host,
        "reproducible": "yes" if model.options.seeds else "no",
    }


def model_of(alias: str, card: ModelCard, *, with_key: bool = True) -> RemoteModel:
    """Return what a card says about a remote model, with the key of its server.

    Raises ModelUnavailable if an option is wrong, or if the key is not in the environment.
    """
    options = parse_options("remote", RemoteOptions, card.options)
    key = options.key(alias) if with_key else None
    adapters = {name: adapter.source for name, adapter in card.adapters.items()}
    return RemoteModel(card.source, options.model or alias, options, key, card.reasoning_max_tokens, adapters)


def _names(content: bytes) -> list[str]:
    """Return the names of a server's models; none if it gives no list that can be read."""
    try:
        data = json.loads(content)["data"]
        return [str(one["id"]) for one in data]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
