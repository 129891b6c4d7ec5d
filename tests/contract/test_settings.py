"""Settings: one set of names, typos refused, every name documented in .env.example."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.contract.errors import SettingsError
from services.contract.settings import (
    ALL_SETTINGS,
    ApiSettings,
    ClientSettings,
    CommonSettings,
    WorkerSettings,
    known_names,
    load,
)

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def example_values() -> dict[str, str]:
    lines = (line.strip() for line in EXAMPLE.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def test_a_misspelt_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match="STT_PROT; did you mean STT_PORT"):
        load(ApiSettings, {"STT_PROT": "80"})


def test_a_name_of_another_process_is_accepted() -> None:
    assert load(ApiSettings, {"STT_SLOTS": "4"}).port == 8000


def test_a_value_out_of_bounds_names_the_variable_and_keeps_the_value_secret() -> None:
    with pytest.raises(SettingsError, match="STT_PORT") as caught:
        load(ApiSettings, {"STT_PORT": "hunter2"})
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["redis://h/notanumber", "redis://:hunter2@h:port/0", "http://h:6379/0", "redis://:hunter2@/0",
     "h:6379", "redis://h:6379/0/1", "redis://h:99999/0", "redis://h:0/0", "unix://"],
)  # fmt: skip
def test_an_address_that_is_none_of_redis_is_refused_and_kept_secret(url: str) -> None:
    with pytest.raises(SettingsError, match="STT_REDIS_URL: not an address of Redis") as caught:
        load(WorkerSettings, {"STT_REDIS_URL": url})
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["redis://h", "redis://h/", "redis://h:6379/15", "rediss://user:p%40ss@h:6380/0",
     "redis://[::1]:6379/0", "unix:///run/redis.sock", "unix:///run/redis.sock?db=2"],
)  # fmt: skip
def test_addresses_of_redis_are_accepted(url: str) -> None:
    assert load(ApiSettings, {"STT_REDIS_URL": url}).redis_url.get_secret_value() == url


def test_a_compute_type_that_the_engine_does_not_know_is_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(SettingsError, match="STT_COMPUTE_TYPE.*int8_float16"):
        load(WorkerSettings, {"STT_COMPUTE_TYPE": "int4"})
    assert load(WorkerSettings, {"STT_COMPUTE_TYPE": "int8_float16"}).compute_type == "int8_float16"


@pytest.mark.parametrize(
    ("kind", "name", "value", "told"),
    [
        (ApiSettings, "STT_LOG_LEVEL", "debug", "DEBUG, INFO, WARNING or ERROR"),
        (ApiSettings, "STT_CORS_ORIGINS", "https://a.example/", "no slash at the end"),
        (WorkerSettings, "STT_DEVICE", "gpu", "`cuda:1`"),
        (WorkerSettings, "STT_COMPUTE_TYPE", "int4", "int8_bfloat16"),
    ],
)
def test_a_value_that_a_setting_does_not_take_is_told_with_those_that_it_does(
    kind: type[CommonSettings], name: str, value: str, told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(kind, {name: value})
    assert told in caught.value.message
    assert "^" not in caught.value.message


def test_an_empty_value_means_the_default() -> None:
    assert load(WorkerSettings, {"STT_SLOTS": ""}).slots == WorkerSettings().slots


def test_a_file_with_the_line_ends_of_windows_means_the_same() -> None:
    settings = load(ApiSettings, {"STT_HOST": "127.0.0.1\r", "STT_LOG_LEVEL": "DEBUG\r"})
    assert (settings.host, settings.log_level) == ("127.0.0.1", "DEBUG")
    assert load(ApiSettings, {"STT_PORT": "\r"}).port == 8000


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load(ClientSettings, {}).base_url = "http://elsewhere"


def test_secrets_do_not_print() -> None:
    assert "hunter2" not in repr(load(ApiSettings, {"STT_API_KEYS": "a:hunter2"}))


def test_every_setting_is_in_the_example_file_and_no_other() -> None:
    assert set(example_values()) == known_names()


def test_the_example_file_shows_the_defaults() -> None:
    for kind in ALL_SETTINGS:
        assert load(kind, example_values()) == kind()


def test_every_setting_is_documented() -> None:
    for kind in ALL_SETTINGS:
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name} has no docstring"


def test_secrets_are_typed_as_secrets() -> None:
    for kind in ALL_SETTINGS:
        for name, field in kind.model_fields.items():
            if "key" in name and name != "allow_no_keys":
                assert field.annotation is SecretStr, name


@pytest.mark.parametrize("name", ["STT_ORPHAN_GRACE_S", "STT_WAIT_TIMEOUT_S"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_times_without_end_are_refused(name: str, value: str) -> None:
    """A deadline that is infinite or no number fails late, in a timer."""
    with pytest.raises(SettingsError, match=name):
        load(ApiSettings, {name: value})
