"""`settings`: shows each setting, its value and where the value came from. Secrets are never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer

from jobs.commands.session import Session
from jobs.urls import HIDDEN, redacted

SECRET_WORDS = ("key", "secret", "token", "password", "credential")
"""The value of a file system's option is hidden if the option's name contains one of these."""


class Origin(NamedTuple):
    """A setting, its value as JSON has it, and its source: `default`, `environment`, a path, or `environment and <path>`."""

    name: str
    value: Any
    source: str


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: nightpress settings --changed")(settings)


def settings(
    ctx: typer.Context,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that differ from the defaults.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a setting.")] = False,
) -> None:
    """Show each setting and where its value came from.

    The environment takes precedence over nightpress.toml, and both over the defaults.
    """
    from jobs.commands.views.prices import in_words

    session: Session = ctx.obj
    listed = [origin for origin in origins(session) if not changed or origin.source != "default"]
    for name, value, source in listed:
        if as_json:
            session.write_json({"setting": name, "value": value, "source": source})
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            text = in_words(session.settings.prices) if name == "prices" else text
            session.write(f"{name} = {text}" + ("" if source == "default" else f"  ({source})"))
    if not listed:
        session.say("every setting has its default value")


def origins(session: Session) -> Iterator[Origin]:
    """Yield all settings in the order of their declaration. Raises RequestError if a setting is wrong."""
    from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

    from jobs.settings import Settings, found_toml

    values = session.settings
    toml = found_toml(Path.cwd())
    environment = EnvSettingsSource(Settings)()
    file: Mapping[str, Any] = TomlConfigSettingsSource(Settings, toml)() if toml else {}
    for name in Settings.model_fields:
        sources = [word for word, given in (("environment", environment), (str(toml), file)) if name in given]
        yield Origin(name, _shown(name, getattr(values, name)), " and ".join(sources) or "default")


def _shown(name: str, value: Any) -> Any:
    if name == "redis_url":
        url = "" if value is None else value.get_secret_value()
        return None if value is None else redacted(url) if "://" in url else HIDDEN
    if name == "store_url":
        return redacted(value)
    if name == "store_options":
        return {option: HIDDEN if _is_secret(option) else given for option, given in value.items()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _shown("", one) for key, one in value.items()}
    return str(value) if isinstance(value, Path) else value


def _is_secret(option: str) -> bool:
    return any(word in option.lower() for word in SECRET_WORDS)
