"""The settings of a process: one frozen value, built at the edge and passed down. Nothing else reads the environment.

Sources, the first that has a value wins: the environment (`NIGHTPRESS_*`, nested names joined by `__`), `nightpress.toml`
in the working folder or one above it, the defaults below.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from jobs.catalog import SHIPPED, ModelCard, lane_of
from jobs.did_you_mean import did_you_mean, nearest
from jobs.errors import RequestError
from jobs.prices import Prices
from jobs.tenants import TenantSettings
from jobs.urls import local_path, scheme

TOML_NAME = "nightpress.toml"
PREFIX: Final = "NIGHTPRESS_"
NESTED: Final = frozenset({"models", "prices", "store_options", "tenants"})
"""Settings with names of their own inside, which a variable joins by `__`."""

_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
"""What Kubernetes calls a service."""

Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""A name that is safe in a lane, a file and a hash tag as it is, so that no two aliases share a lane."""


TenantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Settings(BaseSettings):
    """Every setting, its default and what it does. The README's table is made of these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
        validate_default=True,
    )

    redis_url: SecretStr | None = Field(
        default=None, description="The queue. None: an embedded server, for `run` alone."
    )
    redis_ca: Path | None = Field(
        default=None, description="For a rediss:// URL: the certificates to trust in place of the system's."
    )
    store_url: str = Field(
        default=".nightpress/store", min_length=1, description="A folder, or any fsspec URL such as s3://bucket/path."
    )
    store_options: Mapping[str, str] = Field(
        default={},
        description="Options of the store's fsspec file system, such as endpoint_url; URLs of the same one get them too.",
    )
    cache_dir: Path = Field(default=Path("~/.cache/nightpress"), description="Converted weights.")
    templates_dir: Path | None = Field(default=None, description="Templates that replace the kinds' own, by file name.")
    tenant: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Whom rows are billed to that name no tenant.",
    )
    model: str = Field(default="smollm2-135m", description="The model of rows that name none.")
    lease_s: float = Field(
        default=60.0, ge=0.5, le=3600, description="A worker that is silent for so long has lost its jobs."
    )
    waiting_limit_s: float = Field(
        default=14_400.0,
        gt=0,
        description="A claimed row that the engine has not begun after so long goes to another worker.",
    )
    running_limit_s: float = Field(
        default=3600.0,
        gt=0,
        description="A prompt without an answer after so long is hung: its row goes to another worker.",
    )
    settling_limit_s: float = Field(
        default=86_400.0,
        gt=0,
        description="A finished row that storage does not take for so long is done again elsewhere.",
    )
    step_limit_s: float = Field(
        default=300.0, gt=0, description="An engine that makes no step for so long hangs: its rows go to other workers."
    )
    exit_limit_s: float = Field(
        default=30.0, ge=0, description="A worker whose engine hangs so much longer ends itself, and is replaced."
    )
    flush_s: float = Field(
        default=2.0, gt=0, le=600, description="The longest that a finished row waits for its segment."
    )
    flush_bytes: int = Field(default=8 << 20, ge=1, description="A segment is written when it has grown so large.")
    compact_segments: int = Field(
        default=1000,
        ge=0,
        description="Where so many segments of a batch lie alone, small ones are compacted. 0: never.",
    )
    spool_dir: Path = Field(
        default=Path("~/.cache/nightpress/spool"), description="Local disk for finished rows while the storage is away."
    )
    spool_bytes: int = Field(
        default=1 << 30, ge=0, description="So much of them a worker keeps there; then it claims no more."
    )
    window_rows: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Rows of a lane on the queue at once. So that no batch waits for all others, "
        "each priority may add about twice as many, and each open batch 8.",
    )
    window_bytes: int = Field(
        default=64 << 20,
        ge=1 << 16,
        description="Request bytes of a lane on the queue at once; beyond that as for window_rows.",
    )
    inline_bytes: int = Field(
        default=16 << 10, ge=0, description="A longer request stays in storage until it is claimed."
    )
    max_attempts: int = Field(default=5, ge=1, le=100, description="Attempts of a row before its failure is final.")
    pause_after_deaths: int = Field(
        default=5, ge=1, description="So many deaths of workers in a row, with no row finished, may pause their lane."
    )
    priority_aging_s: float = Field(
        default=600.0,
        gt=0,
        description="Rows of a tenant that wait so long unserved gain a level of priority, for a turn.",
    )
    tenants: Mapping[TenantName, TenantSettings] = Field(
        default={},
        description="By tenant: weight of its turns (1), and rows_in_flight, the most of its rows at work at once.",
    )
    backoff_s: float = Field(default=1.0, ge=0, description="Full-jitter backoff: base.")
    backoff_max_s: float = Field(default=60.0, ge=0, description="Full-jitter backoff: cap.")
    drain_s: float = Field(default=20.0, ge=0, description="How long a draining worker may finish what it runs.")
    publish_check_s: float = Field(
        default=1.0, gt=0, description="How often open batches are looked at for publishing."
    )
    breaker_rows: int = Field(
        default=50, ge=0, description="A batch of which so many rows failed and none completed is paused. 0: never."
    )
    batch_scan_s: float = Field(default=2.0, gt=0, description="How often storage is asked for new batches.")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Where `nightpress work` answers Prometheus. None: nowhere."
    )
    metrics_host: str = Field(default="127.0.0.1", description="The address of that port; 0.0.0.0 is every one.")
    ray_address: str | None = Field(
        default=None, description="A Ray cluster. None: the one that is found, or a local one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(default="auto", description="auto: console on a terminal.")
    prices: Prices = Field(default_factory=Prices, description="Device hours and tokens, under a named version.")
    models: Mapping[Alias, ModelCard] = Field(default={}, description="More models, or others under a shipped alias.")

    @field_validator("store_url")
    @classmethod
    def _wherever_it_is_read(cls, url: str) -> str:
        """A local folder as an absolute path: workers run in other working folders than the command that starts them."""
        return url if "://" in url else str(Path(url).expanduser().absolute())

    @field_validator("templates_dir", "cache_dir", "redis_ca", "spool_dir")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        return None if folder is None else folder.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the file that is found upward from the working folder."""
        del dotenv_settings, file_secret_settings
        toml = found_toml(Path.cwd())
        return (
            init_settings,
            env_settings,
            *([TomlConfigSettingsSource(settings_cls, toml)] if toml else []),
        )

    @property
    def catalog(self) -> Mapping[str, ModelCard]:
        """The shipped models, and the user's own over them."""
        return {**SHIPPED, **self.models}

    def options_for(self, url: str) -> Mapping[str, str]:
        """`store_options` for a URL of the store's file system; none for others, which may not know them, or are not to.

        A store in a folder needs none: beside it they are those of S3.
        """
        ours = scheme(self.store_url) if local_path(self.store_url) is None else "s3"
        return self.store_options if scheme(url) == ours else {}

    def lane_of(self, alias: str) -> str:
        """The lane of a model that the catalog has."""
        return lane_of(alias, self.catalog[alias])


def found_toml(folder: Path) -> Path | None:
    """The nearest `nightpress.toml`, from `folder` upward."""
    return next((path for parent in (folder, *folder.parents) if (path := parent / TOML_NAME).is_file()), None)


def load() -> Settings:
    """The settings of this process. Raises RequestError, which names each wrong setting, its place and the remedy."""
    toml = found_toml(Path.cwd())
    if unknown := unknown_variables(os.environ):
        raise RequestError(f"settings: {'; '.join(unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_fault(toml, *map(str, fault["loc"]), said=fault["msg"]) for fault in error.errors())
        raise RequestError(f"settings: {faults}") from None
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"{PREFIX}{named[1].upper()}" if named else f"{PREFIX}*"
        raise RequestError(f"settings: {variable} is not JSON: {error.__cause__ or error}") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{toml or TOML_NAME} cannot be read: {error}") from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with each `NIGHTPRESS_` variable that names no setting: nobody would read it.

    Kubernetes tells every container of each service by such variables, also of one that is called nightpress: those are
    passed over.
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
            found.append(f"{variable} is no setting{hint}")
        elif nested and top not in NESTED:
            found.append(f"{variable} is no setting: {top} is a single value, set by {PREFIX}{top.upper()}")
    return found


def _fault(toml: Path | None, *loc: str, said: str) -> str:
    """What is wrong with one value, and the variable or the file where it is to be mended."""
    name, places = ".".join(loc), []
    if f"{PREFIX}{'__'.join(loc)}".upper() in map(str.upper, os.environ):
        places = [f"{PREFIX}{'__'.join(loc)}".upper()]
    elif any(variable.upper().split("__")[0] == f"{PREFIX}{loc[0]}".upper() for variable in os.environ):
        places = [f"{PREFIX}{loc[0].upper()}"]
    if toml is not None and not (places and "__".join(loc) == loc[0]):
        places.append(str(toml))
    if said == "Extra inputs are not permitted":
        said = "there is no such setting" + did_you_mean(loc[-1], _known(*loc[:-1]))
    return f"{name}: {said} (mend {' or '.join(places or [TOML_NAME])})"


def _known(*loc: str) -> Sequence[str]:
    """The names that may stand under this place."""
    models: dict[str, type[BaseModel]] = {"models": ModelCard, "tenants": TenantSettings, "prices": Prices}
    return list((models[loc[0]] if loc and loc[0] in models else Settings).model_fields)
