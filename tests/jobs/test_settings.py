"""Shows jobs/settings.py: where settings come from, and the messages about wrong ones."""

from pathlib import Path

import pytest

from jobs.errors import RequestError
from jobs.settings import Settings, found_toml, load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder inside a folder that may hold a file of settings."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return tmp_path


def test_the_environment_comes_before_the_nearest_file_above(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nightpress.toml").write_text(
        'tenant = "file"\nlease_s = 9\n[prices]\nversion = "v2"\ndevice_hour = {}\nmodels = {}\n'
    )
    monkeypatch.setenv("NIGHTPRESS_TENANT", "environment")
    monkeypatch.setenv("NIGHTPRESS_PRICES__CURRENCY", "EUR")
    settings = load()
    assert (settings.tenant, settings.lease_s) == ("environment", 9.0)
    assert (settings.prices.version, settings.prices.currency) == ("v2", "EUR")
    assert found_toml(Path.cwd()) == folder / "nightpress.toml"


def test_local_folders_are_absolute_wherever_a_worker_runs(folder: Path) -> None:
    settings = load()
    assert settings.store_url == str(folder / "a/b/.nightpress/store")
    assert settings.cache_dir.is_absolute()
    assert Settings(store_url="s3://bucket/x").store_url == "s3://bucket/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("colour = 1\n", "colour", id="unknown"),
        pytest.param("lease_s = 0\n", "lease_s", id="out of range"),
        pytest.param('[models.a]\nsourc = "x"\n', "models.a.sourc", id="unknown field of a model"),
        pytest.param('[models."a/b"]\nsource = "x"\n', "models.a/b", id="an alias that is no name"),
        pytest.param("[models\n", "nightpress.toml cannot be read", id="not TOML"),
        pytest.param("running_limit_s = inf\n", "running_limit_s: Input should be a finite number", id="no end"),
        pytest.param('store_url = "~no-such-user/x"\n', "store_url: .* '~no-such-user/x' is not known", id="no home"),
        pytest.param('spool_dir = "~no-such-user"\n', "spool_dir: .* write the whole path", id="no home for a folder"),
    ],
)
def test_a_wrong_setting_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "nightpress.toml").write_text(text)
    with pytest.raises(RequestError, match=message.replace("/", ".")) as raised:
        load()
    assert "nightpress.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("store", "url", "given"),
    [
        pytest.param("s3://bucket/x", "s3://other/file", True, id="of the store's kind"),
        pytest.param("s3a://bucket/x", "s3://other/file", True, id="under another name"),
        pytest.param("s3://bucket/x", "https://host/file", False, id="of another kind"),
        pytest.param("s3://bucket/x", "some/file", False, id="a path"),
        pytest.param("gs://bucket/x", "s3://other/file", False, id="S3 beside another store"),
        pytest.param("a/folder", "s3://other/file", True, id="S3 beside a folder"),
        pytest.param("file:///a/folder", "https://host/file", False, id="another beside a folder"),
    ],
)
def test_the_options_of_the_store_go_to_no_other_service(store: str, url: str, given: bool) -> None:
    settings = Settings(store_url=store, store_options={"key": "k"})
    assert settings.options_for(url) == ({"key": "k"} if given else {})


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(Settings(redis_url="redis://:hidden@localhost/0"))


def test_models_of_the_user_stand_beside_and_over_the_shipped_ones() -> None:
    settings = Settings(models={"stub": {"engine": "stub", "slots": 3}, "own": {"source": "a/b", "revision": "v/1"}})
    assert settings.catalog["stub"].slots == 3
    assert "smollm2-135m" in settings.catalog
    assert settings.lane_of("own") == "own@v-1"


def test_other_names_of_models(folder: Path) -> None:
    (folder / "nightpress.toml").write_text(
        '[models.own]\nsource = "org/Model-1"\n[models.other]\nsource = "org/Twice"\n[models.third]\nsource = "org/Twice"\n'
        '[aliases]\n"gpt-4o-mini" = "own"\n"meta-llama/Llama-3.1-8B-Instruct" = "stub"\n'
    )
    named = load().known_models.named
    assert (
        named("own") == named("OWN ") == named("gpt-4o-mini") == named("GPT-4o-mini") == named("org/Model-1") == "own"
    )
    assert named("meta-llama/Llama-3.1-8B-Instruct") == "stub"
    assert [named(name) for name in ("org/Twice", "gpt-4o", "gpt4omini", "", "llama")] == [None] * 5


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ('"a/b" = "stup"', r"aliases: .*'a/b' stands for 'stup', and no model has that alias: did you mean stub\?"),
        ('stub = "smollm2-135m"', "aliases: .*'stub' is the alias of a model itself"),
        ('"" = "stub"', "aliases"),
    ],
)
def test_an_alias_that_cannot_be_meant_is_refused(folder: Path, alias: str, message: str) -> None:
    (folder / "nightpress.toml").write_text(f"[aliases]\n{alias}\n")
    with pytest.raises(RequestError, match=message):
        load()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        pytest.param(
            "NIGHTPRESS_LEASE_SS", "3", r"LEASE_SS is not a setting: did you mean NIGHTPRESS_LEASE_S\?", id="misspelt"
        ),
        pytest.param("NIGHTPRESS_COLOUR", "1", "NIGHTPRESS_COLOUR is not a setting$", id="like none"),
        pytest.param("NIGHTPRESS_LEASE_S__X", "3", "lease_s is a single value", id="nested in a number"),
        pytest.param("NIGHTPRESS_TENANTS", "{bad", "NIGHTPRESS_TENANTS is not JSON", id="not JSON"),
        pytest.param("NIGHTPRESS_LEASE_S", "soon", "lease_s: .*correct NIGHTPRESS_LEASE_S", id="wrong type"),
        pytest.param(
            "NIGHTPRESS_MODELS__X__ENGIN", "stub", r"did you mean engine\?.*NIGHTPRESS_MODELS__X__ENGIN", id="nested"
        ),
    ],
)
def test_the_message_about_a_wrong_variable_names_it_and_not_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RequestError, match=message) as raised:
        load()
    assert "nightpress.toml" not in str(raised.value)


def test_the_message_about_a_misspelt_setting_suggests_the_right_one(folder: Path) -> None:
    (folder / "nightpress.toml").write_text("laese_s = 1\n[tenants.a]\nwieght = 2\n[models.b]\nengin = 'stub'\n")
    with pytest.raises(RequestError) as raised:
        load()
    for name in ("lease_s", "weight", "engine"):
        assert f"did you mean {name}?" in str(raised.value)


@pytest.mark.parametrize(
    ("adapters", "message"),
    [
        pytest.param(
            'writter = "brand"', "tenants.acme.adapters.writter: no model .* did you mean writer", id="no model"
        ),
        pytest.param(
            'writer = "brnd"', "no adapter 'brnd': the known ones are brand: did you mean brand", id="no adapter"
        ),
        pytest.param('smollm2-135m = "brand"', "smollm2-135m has no adapters", id="a model without any"),
        pytest.param('writer = "brand"', None, id="one that there is"),
    ],
)
def test_a_tenant_has_adapters_that_its_models_have(folder: Path, adapters: str, message: str | None) -> None:
    model = '[models.writer]\nsource = "a/b"\n[models.writer.adapters.brand]\nsource = "a/c"\n'
    (folder / "nightpress.toml").write_text(f"{model}[tenants.acme.adapters]\n{adapters}\n")
    if message is None:
        assert load().tenants["acme"].adapters == {"writer": "brand"}
    else:
        with pytest.raises(RequestError, match=message):
            load()


def test_variables_of_kubernetes_for_a_service_called_nightpress_are_ignored(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "NIGHTPRESS_SERVICE_HOST": "10.0.0.1",
        "NIGHTPRESS_REDIS_SERVICE_PORT_METRICS": "9100",
        "NIGHTPRESS_PORT": "tcp://10.0.0.1:9100",
        "NIGHTPRESS_PORT_9100_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    assert load().lease_s == 60


def test_an_empty_variable_is_none_and_an_empty_store_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files set a variable to `${NAME:-}`, which may be empty. A store with an empty URL would be the working folder."""
    monkeypatch.setenv("NIGHTPRESS_STORE_URL", "")
    assert load().store_url.endswith(".nightpress/store")
    (folder / "nightpress.toml").write_text('store_url = ""\n')
    with pytest.raises(RequestError, match="store_url"):
        load()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_before_the_settings_is_no_part_of_them(folder: Path, line_end: str) -> None:
    """Editors on Windows write such a mark."""
    (folder / "nightpress.toml").write_bytes(f'lease_s = 7{line_end}tenant = "a"'.encode("utf-8-sig"))
    assert (load().lease_s, load().tenant) == (7, "a")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param('tenant = "ä"'.encode("utf-16"), "it is UTF-16 or UTF-32: save it as UTF-8", id="UTF-16"),
        pytest.param("tenant = 1".encode("utf-16-be"), "it is UTF-16 or UTF-32: save it as UTF-8", id="without a mark"),
        pytest.param("tenant = 1".encode("utf-32"), "it is UTF-16 or UTF-32: save it as UTF-8", id="UTF-32"),
        pytest.param(
            '# a\ntenant = "ä"'.encode("latin-1"), "line 2 is not UTF-8: save the file as UTF-8", id="Latin-1"
        ),
    ],
)
def test_the_settings_of_another_encoding_are_refused(folder: Path, data: bytes, message: str) -> None:
    (folder / "nightpress.toml").write_bytes(data)
    with pytest.raises(RequestError, match=message) as raised:
        load()
    assert "nightpress.toml" in str(raised.value)


@pytest.mark.parametrize("url", ["memory://", "memory://a/b", "MEMORY://a", "simplecache::memory://a", "memory:///x"])
def test_a_store_in_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("NIGHTPRESS_STORE_URL", url)
    with pytest.raises(RequestError, match="gone when this process ends"):
        load()


def test_a_blank_store_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTPRESS_STORE_URL", "  ")
    with pytest.raises(RequestError, match="it is blank"):
        load()
