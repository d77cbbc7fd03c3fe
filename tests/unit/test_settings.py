"""service.settings: one object, one prefix, refused when wrong."""

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError


def test_defaults_are_valid_and_local() -> None:
    settings = Settings.load({})
    assert (settings.host, settings.port, settings.backend) == ("127.0.0.1", 8000, "auto")


def test_environment_sets_fields_by_prefix() -> None:
    settings = Settings.load({"VTV_PORT": "9", "VTV_BUCKETS": "1, 8", "VTV_STORE": "/s", "PATH": "/bin"})
    assert (settings.port, settings.buckets, settings.store) == (9, (1, 8), Path("/s"))


def test_what_is_given_wins_unless_none() -> None:
    environment = {"VTV_PORT": "9", "VTV_BACKEND": "eager"}
    settings = Settings.load(environment, port=10, backend=None)
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
def test_the_wrong_field_is_named_in_one_line(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environment)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.test"])
def test_an_open_door_has_to_be_asked_for(host: str) -> None:
    with pytest.raises(SettingsError, match="VTV_ALLOW_UNAUTHENTICATED"):
        Settings.load({"VTV_HOST": host})
    allowed = Settings.load({"VTV_HOST": host, "VTV_ALLOW_UNAUTHENTICATED": "1"})
    assert allowed.host == host


def test_keys_open_the_door_and_are_not_shown() -> None:
    settings = Settings.load({"VTV_HOST": "0.0.0.0", "VTV_API_KEYS": "anton, berta", "VTV_ADMIN_KEY": "caesar"})
    assert [key.get_secret_value() for key in settings.api_keys] == ["anton", "berta"]
    assert not any(key in repr(settings) for key in ("anton", "berta", "caesar"))
    with pytest.raises(SettingsError, match="VTV_API_KEYS"):
        Settings.load({"VTV_HOST": "0.0.0.0", "VTV_API_KEYS": " , "})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_leave(host: str) -> None:
    assert Settings.load({"VTV_HOST": host}).host == host


def test_a_request_never_holds_more_than_the_queue() -> None:
    assert Settings.load({"VTV_QUEUE_LIMIT": "4"}).images_per_request == 4


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load({})
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("cores", "beside"), [(1, (1, 1)), (2, (1, 2)), (8, (7, 8)), (64, (16, 16))])
def test_codecs_leave_a_core_to_an_engine_on_the_processor(
    cores: int, beside: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    settings = Settings.load({})
    assert (settings.codecs_beside("cpu"), settings.codecs_beside("cuda")) == beside
    assert Settings.load({"VTV_CODEC_PROCESSES": "3"}).codecs_beside("cpu") == 3
