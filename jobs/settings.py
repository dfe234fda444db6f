"""The settings of a process: one frozen object, made by the command and passed down. Nothing else reads the environment.

Each setting comes from the first of these sources that has it: the environment (`NIGHTPRESS_*`, nested names joined by `__`),
`nightpress.toml` in the working folder or the nearest folder above it, the defaults below.
"""

import codecs
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from jobs.catalog import SHIPPED, ModelCard, Models, lane_of
from jobs.did_you_mean import did_you_mean, nearest
from jobs.errors import RequestError
from jobs.findings import CheckSettings
from jobs.prices import Prices
from jobs.tenants import RowRight, TenantSettings, TermSettings
from jobs.urls import absolute, local_path, scheme

TOML_NAME: Final = "nightpress.toml"
PREFIX: Final = "NIGHTPRESS_"
NESTED: Final = frozenset(
    {"aliases", "checks", "gateway", "memory", "models", "prices", "store_options", "tenants", "terms", "traces"}
)
"""Settings that hold named values. An environment variable joins the names by `__`: NIGHTPRESS_PRICES__CURRENCY."""

_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
"""The ends of the variables by which Kubernetes announces a service to each container."""

Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""The alias of a model. Its characters are safe in a file name and in a Redis hash tag, so no two aliases share a lane."""

OtherName = Annotated[str, StringConstraints(min_length=1, max_length=256)]

TenantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class MemorySettings(BaseModel):
    """`[memory]` of the settings: the translation memory. Each tenant has a memory of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        default=True,
        description="Whether known segments are taken from the memory, and published translations that are fit are kept in it.",
    )
    threshold: float = Field(
        default=0.75,
        ge=0.5,
        le=1,
        allow_inf_nan=False,
        description="How similar a segment must be to one of the memory to be given to the model as an example: from 0.5 to 1.",
    )
    hints: bool = Field(
        default=True, description="Whether similar segments and their translations are given to models as examples."
    )


class TraceSettings(BaseModel):
    """`[traces]` of the settings: traces of rows for OpenTelemetry. They need the extra `traces`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = Field(
        default=None,
        description="URL of a receiver of OTLP over HTTP, such as http://collector:4318. None: no row is traced.",
    )
    share: float = Field(
        default=0.01, ge=0, le=1, allow_inf_nan=False, description="The share of rows that are traced, from 0 to 1."
    )
    headers: Mapping[str, SecretStr] = Field(
        default={}, description="HTTP headers for the receiver, such as Authorization."
    )

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        """Refuse what is no URL of a receiver, and one with a password, since messages name the URL."""
        if url is None:
            return None
        _check_printable(url)
        try:
            parts = urlsplit(url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            raise ValueError(f"{url!r} is no URL such as http://collector:4318")
        if "@" in parts.netloc:
            raise ValueError("the URL holds a user or a password: give them in `headers`")
        return url


class GatewaySettings(BaseModel):
    """`[gateway]` of the settings: the HTTP server of `nightpress serve`. It needs the extra `gateway`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen at; 0.0.0.0 is every address of the machine.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen at; 0: a free one.")
    secret: SecretStr | None = Field(
        default=None,
        description="Secret under which keys are kept, of 32 characters and more; the same for all gateways of a store. None: a "
        "random one, kept in a private file of `cache_dir`.",
    )
    tls_cert: Path | None = Field(
        default=None, description="File of the certificate, for TLS. None: none, so only behind a proxy that has it."
    )
    tls_key: Path | None = Field(default=None, description="File of the certificate's private key.")
    file_bytes: int = Field(default=8 << 30, ge=1, description="Most bytes of an uploaded file.")
    admissions: int = Field(default=1, ge=1, le=64, description="Most uploaded files that are read at once.")
    connections: int = Field(default=1_000, ge=1, description="Most connections at once; further ones get 503.")
    webhook_networks: tuple[str, ...] = Field(
        default=(),
        description="Private networks that webhooks may reach, such as 10.1.0.0/16. Public addresses need no such entry.",
    )

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("give tls_cert and tls_key together, or neither")
        return self

    @field_validator("tls_cert", "tls_key")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        _check_printable(str(path))
        return None if path is None else absolute(path)

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network, strict=False)
        return networks


class Settings(BaseSettings):
    """Every setting, its default and what it does. The reference of settings is generated from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
        nested_model_default_partial_update=True,
        validate_default=True,
    )

    redis_url: SecretStr | None = Field(
        default=None, description="URL of the Redis that holds the queue. None: `run` starts an embedded server."
    )
    redis_ca: Path | None = Field(
        default=None, description="For a rediss:// URL: a file of the certificates to trust, in place of the system's."
    )
    store_url: str = Field(
        default=".nightpress/store",
        min_length=1,
        description="Where batches are stored: a folder, or an fsspec URL such as s3://bucket/path.",
    )
    store_options: Mapping[str, str] = Field(
        default={},
        description="Options of the store's fsspec file system, such as endpoint_url, for all URLs of that file system.",
    )
    file_mode: str = Field(
        default="0600",
        pattern=r"^(umask|0?6[0246]{2})$",
        description="Mode of the files in a store that is a folder, such as 0640. Those who may read the files may enter their "
        "folders. umask: the umask of the process decides.",
    )
    cache_dir: Path = Field(
        default=Path("~/.cache/nightpress"), description="Folder for converted weights and embedded servers."
    )
    node_weights_dir: Path | None = Field(
        default=None,
        description="Folder on a local disk of each node. Weights are copied into it before they are loaded, once a node, where "
        "they lie on a disk that nodes share. None: they are read where they are.",
    )
    templates_dir: Path | None = Field(
        default=None, description="Folder of templates that replace those of the kinds, by file name."
    )
    tenant: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="The tenant to bill for rows that name none.",
    )
    model: str = Field(default="smollm2-135m", description="The model for rows that name none.")
    lease_s: float = Field(
        default=60.0,
        ge=0.5,
        le=3600,
        description="Seconds of silence after which a worker loses its jobs, and others may claim them.",
    )
    waiting_limit_s: float = Field(
        default=14_400.0,
        gt=0,
        description="Seconds that a claimed row may wait for the engine to begin it; then it goes to another worker.",
    )
    running_limit_s: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds that a prompt may run without an answer; then its row goes to another worker.",
    )
    settling_limit_s: float = Field(
        default=86_400.0,
        gt=0,
        description="Seconds that a finished row may wait for storage to take it; then another worker does the row again.",
    )
    step_limit_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds without a step after which an engine counts as hung, and its rows go to other workers.",
    )
    exit_limit_s: float = Field(
        default=30.0,
        ge=0,
        description="Seconds after step_limit_s until a worker whose engine still hangs ends its process and is replaced.",
    )
    flush_s: float = Field(
        default=2.0,
        gt=0,
        le=600,
        description="Seconds that a finished row waits for others before they are written as a segment.",
    )
    flush_bytes: int = Field(
        default=8 << 20,
        ge=1,
        description="Bytes of finished rows that are written as a segment at once, without waiting for flush_s.",
    )
    compact_segments: int = Field(
        default=1000,
        ge=0,
        description="Merge small segments of a batch once it has this many uncompacted segments. 0: never.",
    )
    spool_dir: Path = Field(
        default=Path("~/.cache/nightpress/spool"),
        description="Folder on a local disk that keeps finished rows while the storage does not take them.",
    )
    spool_bytes: int = Field(
        default=1 << 30,
        ge=0,
        description="Most bytes that a worker keeps there. Once they are used up, it claims no more rows.",
    )
    window_rows: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Most rows of a lane that wait on the queue. So that no batch waits for another, each may have its part of "
        "this number there, even if other batches have filled the queue: an equal part of its priority, or 8 rows.",
    )
    window_bytes: int = Field(
        default=64 << 20,
        ge=1 << 16,
        description="Most bytes of requests of a lane that wait on the queue; it is exceeded as window_rows is.",
    )
    input_layers: int = Field(
        default=3,
        ge=0,
        le=16,
        description="An input may be compressed this many times over, such as a .gz inside a .zst.",
    )
    input_ratio: int = Field(
        default=1_000,
        ge=1,
        description="A compressed input may unpack to this many times its size; to 16 MiB it always may.",
    )
    input_bytes: int = Field(default=256 << 30, ge=1, description="Most bytes of an input, unpacked.")
    input_rows: int = Field(
        default=100_000_000, ge=1, description="Most lines of an input, blank ones included; of Parquet, most rows."
    )
    input_line_bytes: int = Field(
        default=256 << 20,
        ge=1 << 21,
        description="Most bytes of a line of an input. Only its row is refused for a line of more than 1 MiB; the whole "
        "input is refused for a line of more than this.",
    )
    inline_bytes: int = Field(
        default=16 << 10,
        ge=0,
        description="Most bytes of a request that travels on the queue; a longer one is read from storage when claimed.",
    )
    max_attempts: int = Field(
        default=5, ge=1, le=100, description="Attempts of a row, after which its failure is final."
    )
    pause_after_deaths: int = Field(
        default=5,
        ge=1,
        description="Pause a lane after this many worker deaths in a row with no finished row in between, unless they lost "
        "few rows: at most one for every 20 that the lane finished.",
    )
    priority_aging_s: float = Field(
        default=600.0,
        gt=0,
        description="Seconds after which a tenant's waiting rows gain a level of priority if none of them was claimed, and "
        "again after each such time, until one is claimed.",
    )
    tenants: Mapping[TenantName, TenantSettings] = Field(
        default={},
        description="By tenant: weight, its part of the work while several tenants wait (default 1), and rows_in_flight, the "
        "most of its rows that may be leased at once (default: no limit), checks, what is changed of checks of content, and "
        "terms, its glossaries and names.",
    )
    checks: CheckSettings = Field(
        default={},
        description="By check: severity (fail, review, note or off) and limits, or the severity alone. `nightpress checks` "
        "lists them. `checks` of a tenant comes after these. `audit` has the limits for how alike the rows of a batch may be.",
    )
    memory: MemorySettings = Field(
        default_factory=MemorySettings,
        description="The translation memory: enabled, the threshold of similar segments, and hints.",
    )
    terms: TermSettings = Field(
        default=TermSettings(),
        description="Terms of translations: files, glossaries in CSV or TBX, and do_not_translate, names that stay as they are. "
        "`terms` of a tenant comes before these.",
    )
    accept_review: bool = Field(
        default=False,
        description="End commands with exit status 0 although rows are for review. `--accept-review` does it for one command.",
    )
    max_regenerations: int = Field(
        default=2,
        ge=0,
        le=10,
        description="How often a kind asks again, at most, for a text that broke a clause of severity fail.",
    )
    known_tenants_only: bool = Field(
        default=False, description="Refuse every tenant but those of [tenants] and that of the setting `tenant`."
    )
    rows_may_set: tuple[RowRight, ...] = Field(
        default=(),
        description="What a row may set itself: tenant, priority. Otherwise a row that names another tenant or priority than "
        "its batch is refused, so that nobody chooses whom a row is billed to but whoever submits it.",
    )
    backoff_s: float = Field(
        default=1.0,
        ge=0,
        description="Most seconds before the second attempt of a row; it doubles with each further attempt.",
    )
    backoff_max_s: float = Field(default=60.0, ge=0, description="Most seconds before any further attempt of a row.")
    drain_s: float = Field(
        default=20.0, ge=0, description="Seconds that a draining worker gets to finish the rows it runs."
    )
    max_gpus: float | None = Field(
        default=None,
        ge=0,
        description="Most GPUs that the workers of a fleet hold together. None: those that the Ray cluster has. A cluster that "
        "adds nodes by itself needs it: it is how far the fleet lets the cluster grow.",
    )
    max_cpus: float | None = Field(
        default=None,
        ge=1,
        description="The same for cores. None: those that the Ray cluster has, but for one.",
    )
    idle_s: float | None = Field(
        default=300.0,
        ge=0,
        description="Seconds without a row after which `nightpress work` ends workers that are not needed, so that a cluster "
        "that grows can shrink again. None: they stay, unless other programs wait for their room.",
    )
    publish_check_s: float = Field(
        default=1.0, gt=0, description="Seconds between two looks at whether open batches can be published."
    )
    breaker_rows: int = Field(
        default=50, ge=0, description="Pause a batch when this many of its rows failed and none completed. 0: never."
    )
    batch_scan_s: float = Field(
        default=2.0, gt=0, description="Seconds between two looks into storage for new batches."
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port where `nightpress work` answers Prometheus. None: it does not."
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address of that port; 0.0.0.0 is every address of the machine."
    )
    traces: TraceSettings = Field(
        default_factory=TraceSettings,
        description="Traces of rows for OpenTelemetry: the endpoint that takes them, the share of rows, and headers.",
    )
    gateway: GatewaySettings = Field(
        default_factory=GatewaySettings,
        description="The HTTP server of `nightpress serve`: host, port, secret, TLS, limits of files and connections.",
    )
    ray_address: str | None = Field(
        default=None,
        description="A Ray cluster, as host:port; auto: what `ray start` has started here; None: that, or a local one.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto is console on a terminal, json elsewhere."
    )
    prices: Prices = Field(
        default_factory=Prices, description="Prices of device hours and tokens, under a named version."
    )
    models: Mapping[Alias, ModelCard] = Field(
        default={}, description="Further models by alias; one under a shipped alias replaces it."
    )

    aliases: Mapping[OtherName, str] = Field(
        default={},
        description="Other names of models, such as gpt-4o-mini or meta-llama/Llama-3.1-8B-Instruct, each with the alias of "
        "the model that runs rows with this name.",
    )

    @model_validator(mode="after")
    def _budgets_are_in_the_currency_of_the_prices(self) -> Self:
        for name, tenant in self.tenants.items():
            for field in ("budget_a_day", "budget_a_month"):
                money = getattr(tenant, field)
                if money is not None and money.currency != self.prices.currency:
                    raise ValueError(
                        f"tenants.{name}.{field}: it is in {money.currency}, and the prices are in {self.prices.currency}: give "
                        f"it in {self.prices.currency}, or [prices] in {money.currency}"
                    )
        return self

    @model_validator(mode="after")
    def _tenants_have_adapters_of_models(self) -> Self:
        for name, tenant in self.tenants.items():
            for alias, adapter in tenant.adapters.items():
                place = f"tenants.{name}.adapters.{alias}"
                if alias not in self.catalog:
                    raise ValueError(f"{place}: no model has that alias{did_you_mean(alias, self.catalog)}")
                if message := self.known_models.no_adapter(alias, adapter):
                    raise ValueError(f"{place}: {message}")
        return self

    @field_validator("aliases")
    @classmethod
    def _known_aliases(cls, aliases: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        """Refuse a name that stands for an alias which no model has. Also refuse a name that is itself the alias of a model,
        because it would have no effect.
        """
        catalog = {**SHIPPED, **info.data.get("models", {})}
        for name, alias in aliases.items():
            if name in catalog:
                raise ValueError(f"{name!r} is the alias of a model itself: remove it")
            if alias not in catalog:
                raise ValueError(
                    f"{name!r} stands for {alias!r}, and no model has that alias{did_you_mean(alias, catalog)}"
                )
        return aliases

    @field_validator("store_url")
    @classmethod
    def _absolute_store(cls, url: str) -> str:
        """Make a local folder absolute: workers run in other working folders than the command that starts them."""
        _check_printable(url)
        if not url.strip():
            raise ValueError("it is blank: name a folder or a URL")
        if any(part.partition(":")[0].lower() == "memory" and "://" in part for part in url.split("::")):
            raise ValueError(
                "a store in memory is gone when this process ends: name a folder, or a URL such as s3://bucket/path"
            )
        return url if "://" in url else str(absolute(Path(url)))

    @field_validator("templates_dir", "cache_dir", "node_weights_dir", "redis_ca", "spool_dir")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        _check_printable(str(folder))
        return None if folder is None else absolute(folder)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings in the order of precedence: arguments, environment, the nearest `nightpress.toml`."""
        del dotenv_settings, file_secret_settings
        toml = found_toml(Path.cwd())
        return (
            init_settings,
            env_settings,
            *([_Toml(settings_cls, toml)] if toml else []),
        )

    @property
    def file_mode_bits(self) -> int | None:
        """The mode of new files as a number; None if the umask decides."""
        return None if self.file_mode == "umask" else int(self.file_mode, 8)

    @property
    def catalog(self) -> Mapping[str, ModelCard]:
        """The shipped models and those of the settings, by alias. If both have an alias, the settings' model counts."""
        return {**SHIPPED, **self.models}

    @property
    def known_models(self) -> Models:
        """The models that rows may name."""
        return Models(self.catalog, self.aliases)

    @property
    def grows_to(self) -> Mapping[str, float]:
        """What a fleet lets a cluster grow to, by the resources of Ray; without those that are not set."""
        limits = {"GPU": self.max_gpus, "CPU": self.max_cpus}
        return {kind: limit for kind, limit in limits.items() if limit is not None}

    def options_for(self, url: str) -> Mapping[str, str]:
        """Return `store_options` for a URL of the store's file system, and nothing for any other URL.

        Another file system may not know the options, and must not see their secrets. If the store is a local folder, which needs
        no options, the options are for URLs of S3.
        """
        ours = scheme(self.store_url) if local_path(self.store_url) is None else "s3"
        return self.store_options if scheme(url) == ours else {}

    def lane_of(self, alias: str) -> str:
        """Return the lane of a model of the catalog. Raises KeyError if the catalog has no such alias."""
        return lane_of(alias, self.catalog[alias])


class _Toml(TomlConfigSettingsSource):
    """Reads `nightpress.toml` as editors write it: UTF-8, also with a byte order mark. Raises ValueError for other encodings."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        import tomllib

        data = file_path.read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
            raise ValueError("it is UTF-16 or UTF-32: save it as UTF-8")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ValueError(f"line {line} is not UTF-8: save the file as UTF-8") from None
        return tomllib.loads(text.replace("\r\n", "\n"))


def _check_printable(name: str) -> None:
    """Raise ValueError for a path with a control character, since the system has no such files."""
    if not name.isprintable():
        raise ValueError("it holds a control character")


def found_toml(folder: Path) -> Path | None:
    """Return the nearest `nightpress.toml`, in `folder` or a folder above it; None if there is none."""
    return next((path for parent in (folder, *folder.parents) if (path := parent / TOML_NAME).is_file()), None)


def load() -> Settings:
    """Return the settings of this process. Raises RequestError, which names each wrong setting and where to correct it."""
    toml = found_toml(Path.cwd())
    if unknown := unknown_variables(os.environ):
        raise RequestError(f"settings: {'; '.join(unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_fault(toml, *map(str, fault["loc"]), message=fault["msg"]) for fault in error.errors())
        raise RequestError(f"settings: {faults}") from None
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"{PREFIX}{named[1].upper()}" if named else f"{PREFIX}*"
        raise RequestError(f"settings: {variable} is not JSON: {error.__cause__ or error}") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{toml or TOML_NAME} cannot be read: {error}") from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a message for each `NIGHTPRESS_` variable that names no setting, and so would have no effect.

    The variables by which Kubernetes announces a service called nightpress are ignored.
    """
    found = []
    for variable, value in sorted(environment.items()):
        name = variable.upper().removeprefix(PREFIX).lower()
        top, nested, _ = name.partition("__")
        is_ours = variable.upper().startswith(PREFIX)
        if not is_ours or _SERVICE.search(variable) or (top.endswith("port") and value.startswith(("tcp:", "udp:"))):
            continue
        if top not in Settings.model_fields:
            like = nearest(top, Settings.model_fields)
            hint = f": did you mean {PREFIX}{like.upper()}?" if like else ""
            found.append(f"{variable} is not a setting{hint}")
        elif nested and top not in NESTED:
            found.append(f"{variable} is not a setting: {top} is a single value, set by {PREFIX}{top.upper()}")
    return found


def _fault(toml: Path | None, *loc: str, message: str) -> str:
    """Return the message about one wrong value, with the variable or file where to correct it.

    A message about several settings together has no `loc`, and names them itself.
    """
    if not loc:
        return f"{message.removeprefix('Value error, ')} (correct {toml or TOML_NAME})"
    name, origins = ".".join(loc), []
    if f"{PREFIX}{'__'.join(loc)}".upper() in map(str.upper, os.environ):
        origins = [f"{PREFIX}{'__'.join(loc)}".upper()]
    elif any(variable.upper().split("__")[0] == f"{PREFIX}{loc[0]}".upper() for variable in os.environ):
        origins = [f"{PREFIX}{loc[0].upper()}"]
    if toml is not None and not (origins and "__".join(loc) == loc[0]):
        origins.append(str(toml))
    if message == "Extra inputs are not permitted":
        message = "there is no such setting" + did_you_mean(loc[-1], _known(*loc[:-1]))
    return f"{name}: {message} (correct {' or '.join(origins or [TOML_NAME])})"


def _known(*loc: str) -> Sequence[str]:
    """Return the names of the settings at this path."""
    if loc[-1:] == ("terms",):
        return list(TermSettings.model_fields)
    models: dict[str, type[BaseModel]] = {
        "models": ModelCard,
        "tenants": TenantSettings,
        "prices": Prices,
        "traces": TraceSettings,
        "gateway": GatewaySettings,
    }
    return list((models[loc[0]] if loc and loc[0] in models else Settings).model_fields)
