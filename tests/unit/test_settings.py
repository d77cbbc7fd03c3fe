"""service.settings: one object, one prefix, refused when wrong."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings, SettingsError

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Settings in an environment that holds these variables and none else of ours."""

    def load(environment: Mapping[str, str], **flags: Any) -> Settings:
        for name in [name for name in os.environ if name.startswith(("VTV_", "OTEL_"))]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Settings.load(**flags)

    return load


def test_defaults_are_valid_and_local(load: Load) -> None:
    settings = load({})
    assert (settings.host, settings.port, settings.backend) == ("127.0.0.1", 8000, "auto")


def test_environment_sets_fields_by_prefix(load: Load) -> None:
    settings = load({"VTV_PORT": "9", "VTV_BUCKETS": "1, 8", "VTV_STORE": "/s", "PATH": "/bin"})
    assert (settings.port, settings.buckets, settings.store) == (9, (1, 8), Path("/s"))


def test_what_is_given_wins_unless_none(load: Load) -> None:
    environment = {"VTV_PORT": "9", "VTV_BACKEND": "eager"}
    settings = load(environment, port=10, backend=None)
    assert (settings.port, settings.backend) == (10, "eager")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"VTV_PORT": "eighty"}, "VTV_PORT"),
        ({"VTV_PORT": "65536"}, "VTV_PORT"),
        ({"VTV_BACKEND": "onnx"}, "VTV_BACKEND"),
        ({"VTV_QUEUE_LIMIT": "0"}, "VTV_QUEUE_LIMIT"),
        ({"VTV_QEUE_LIMIT": "5"}, "VTV_QEUE_LIMIT"),
        ({"VTV_BUCKETS": "1,x"}, "VTV_BUCKETS"),
    ],
)
def test_the_wrong_field_is_named_in_one_line(load: Load, environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.test"])
def test_an_open_door_has_to_be_asked_for(load: Load, host: str) -> None:
    with pytest.raises(SettingsError, match="VTV_ALLOW_UNAUTHENTICATED"):
        load({"VTV_HOST": host})
    allowed = load({"VTV_HOST": host, "VTV_ALLOW_UNAUTHENTICATED": "1"})
    assert allowed.host == host


def test_keys_open_the_door_and_are_not_shown(load: Load) -> None:
    settings = load({"VTV_HOST": "0.0.0.0", "VTV_API_KEYS": "anton, berta", "VTV_ADMIN_KEY": "caesar"})
    assert [key.get_secret_value() for key in settings.api_keys] == ["anton", "berta"]
    assert not any(key in repr(settings) for key in ("anton", "berta", "caesar"))
    with pytest.raises(SettingsError, match="VTV_API_KEYS"):
        load({"VTV_HOST": "0.0.0.0", "VTV_API_KEYS": " , "})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_leave(load: Load, host: str) -> None:
    assert load({"VTV_HOST": host}).host == host


def test_a_request_never_holds_more_than_a_clients_share_of_the_queue(load: Load) -> None:
    assert load({"VTV_QUEUE_LIMIT": "4"}).images_per_request(8) == 3
    assert load({"VTV_QUEUE_LIMIT": "4", "VTV_CLIENT_SHARE": "1"}).images_per_request(8) == 4
    assert load({"VTV_MAX_IMAGES": "5"}).images_per_request(64) == 5


def test_limits_follow_the_engines_largest_batch(load: Load) -> None:
    unset = load({})
    assert (unset.images_in_hand(8), unset.images_per_request(8)) == (256, 32)
    assert (unset.images_in_hand(64), unset.images_per_request(64)) == (512, 64)
    assert load({"VTV_QUEUE_LIMIT": "300"}).images_in_hand(64) == 300


def test_settings_cannot_be_changed(load: Load) -> None:
    settings = load({})
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("cores", "beside"), [(1, (1, 1)), (2, (1, 2)), (8, (7, 8)), (64, (16, 16))])
def test_codecs_leave_a_core_to_an_engine_on_the_processor(
    load: Load, cores: int, beside: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    settings = load({})
    assert (settings.codecs_beside("cpu"), settings.codecs_beside("cuda")) == beside
    assert load({"VTV_CODEC_PROCESSES": "3"}).codecs_beside("cpu") == 3


@pytest.mark.parametrize(
    ("environment", "flags", "line"),
    [
        (
            {},
            {"backend": "onnx"},
            "--backend: input should be 'auto', 'eager', 'inductor', 'openvino', 'tensorrt' or 'torch_tensorrt'",
        ),
        ({"VTV_PORT": "1"}, {"port": 70_000}, "--port: input should be less than or equal to 65535"),
        ({"VTV_PORT": "70000"}, {"backend": "eager"}, "VTV_PORT: input should be less than or equal to 65535"),
        ({"VTV_QEUE_LIMIT": "5"}, {}, "VTV_QEUE_LIMIT: there is no such setting"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_given(
    load: Load, environment: dict[str, str], flags: dict[str, Any], line: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment, **flags)
    assert str(caught.value) == line


def test_an_empty_variable_is_one_that_is_not_set(load: Load) -> None:
    settings = load({"VTV_BUCKETS": "", "VTV_PORT": ""})
    assert (settings.buckets, settings.port) == (None, 8000)


def test_opentelemetrys_own_variables_say_where_traces_go(load: Load) -> None:
    both, traces = "http://all.test", "http://traces.test"
    names = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    assert load({}).otlp_endpoint == ""
    assert load({names[0]: both}).otlp_endpoint == both
    assert load({names[0]: both, names[1]: ""}).otlp_endpoint == both
    assert load({names[0]: both, names[1]: traces}).otlp_endpoint == traces
