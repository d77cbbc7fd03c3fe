"""The service's one settings object. Nothing else in the service reads the environment."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE, BUNDLED_TOWERS
from artifacts.pictures.limits import PictureLimits
from artifacts.store.address import StoreAddress, store_address
from engine.classification import DEFAULT_CLASSES, Precision
from service.connection_limits import ConnectionLimits

PREFIX = "VTV_"
_MOST_CODECS = 16
_BATCHES_IN_HAND, _LEAST_IN_HAND, _LEAST_PER_REQUEST = 8, 256, 32
_OTLP = AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class SettingsError(Exception):
    """The settings are wrong; the message is one line for the operator."""


def _split(value: Any) -> Any:
    """Let an environment variable hold a list: "1,8,32"."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _store(value: Any) -> Any:
    return store_address(value) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Everything an operator may set, checked when built. `VTV_<NAME>` sets a field from outside."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )

    model: Path = BUNDLED_MODEL
    """Folder of the base model; by default the bundled one."""
    store: Annotated[StoreAddress, BeforeValidator(_store)] = BUNDLED_STORE
    """Folder of the published tasks, or `s3://bucket/prefix`; by default the bundled ones."""
    tower: Literal["none"] | Path = Field(BUNDLED_TOWERS / "lite0", union_mode="left_to_right")
    """Folder of the image tower that classification tasks are served with, loaded when there is one; by default the
    bundled one. `none`: classification tasks are refused."""
    backend: Literal["auto", "eager", "inductor", "openvino", "tensorrt", "torch_tensorrt"] = "auto"
    """What runs the model; `auto` takes the fastest that works here."""
    cache: Path | None = None
    """Where compiled engines are kept, as `vtv compile` writes them; by default in the home directory."""
    device: str = "auto"
    """`cpu`, `cuda` or `cuda:1`; `auto` is a GPU where there is one."""
    slots: int = Field(64, ge=2, le=65_536)
    """Rows of the bank: distinct tasks in flight at once, plus the no-op."""
    max_classes: int = Field(DEFAULT_CLASSES, ge=1, le=100_000)
    """Classes of one classification task, at most: what a row of the bank has room for."""
    buckets: Annotated[tuple[int, ...] | None, NoDecode, BeforeValidator(_split)] = None
    """Batch sizes to compile, separated by commas; unset leaves the choice to the engine."""
    tower_buckets: Annotated[tuple[int, ...] | None, NoDecode, BeforeValidator(_split)] = None
    """The same for the image tower."""
    tower_precision: Precision = "bfloat16"
    """What the image tower computes in. With `bfloat16`, as `vtv taskres` does by default too: in float32 where that is
    not a CPU that has it, with `openvino`. In `float32` everywhere: slower, the same answers on every machine."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65_535)
    """Port to listen on; 0 lets the system choose; the line at start-up says which."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    """Keys, separated by commas. Where there are any, a request needs one of them."""
    admin_key: SecretStr | None = None
    """Key for installing and retiring tasks, which nobody may do where it is unset."""
    trusted_keys: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = ()
    """Files of Ed25519 public keys (PEM), separated by commas. Where there are any, only artifacts that one of them
    signed are served or installed."""
    allow_unauthenticated: bool = False
    """Serve beyond this machine although there are no keys."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names that requests may ask for (their Host header), separated by commas. Unset: where no key is asked for on
    loopback, loopback's own, as a page from elsewhere could otherwise ask in its reader's name; else any."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks of proxies, separated by commas, whose X-Forwarded-For tells who the client is."""

    max_connections: int = Field(2048, ge=8)
    """Connections open at once; beyond it the one that has kept the server waiting longest is closed."""
    max_connections_per_client: int = Field(1024, ge=4)
    """The same of one address."""
    max_header_bytes: int = Field(32 * 1024, ge=1024)
    """Bytes of a request's address and headers, at most."""
    max_headers: int = Field(100, ge=8)
    """Headers of a request, at most."""
    header_seconds: float = Field(10.0, gt=0)
    """How long a connection may take to send a request's headers, from when it is opened or begins to send."""
    body_seconds: float = Field(60.0, gt=0)
    """How long a request's body may take to come."""
    keep_alive_seconds: float = Field(75.0, gt=0)
    """How long an idle connection is kept; longer than a balancer in front keeps it, or it answers 502 now and then."""
    max_bytes_in_hand: int = Field(512 * 2**20, ge=2**20)
    """Memory for the bodies of all requests together, each counted with its copies; what is beyond it is read later."""
    client_share: float = Field(0.75, gt=0, le=1)
    """Share of the queue that one client may fill: a key, or an address where none is asked for."""
    queue_limit: int | None = Field(None, ge=1)
    """Images in hand at once, counted from admission to reply. Unset: eight of the engine's largest batches, 256 at
    least."""
    max_wait_ms: float = Field(0.0, ge=0, le=1000)
    """How long an image may wait for an idle engine's batch to fill; 0 launches it at once."""
    max_images: int | None = Field(None, ge=1)
    """Images in one request, at most. Unset: one of the engine's largest batches, 32 at least."""
    max_body_bytes: int = Field(32 * 2**20, ge=1024)
    """Bytes of a request's body, at most."""
    max_pixels: int = Field(25_000_000, ge=111 * 111)
    """Width times height of one image, at most; read from its header before it is decoded."""
    max_aspect: float = Field(100.0, ge=1)
    """Longer side of an image over its shorter one, at most."""
    max_scans: int = Field(64, ge=1)
    """Scans of a progressive JPEG, at most; encoders write about ten."""
    max_image_bytes: int = Field(450 * 2**20, ge=2**20)
    """Memory that one image may take while it is read or painted, estimated from its header and what is asked for."""
    timeout_ms: int = Field(30_000, ge=1)
    """Deadline of a request that names none, in milliseconds; a request may shorten it, not extend it."""
    codec_processes: int | None = Field(None, ge=1, le=256)
    """Processes that decode and encode; one more takes what is large. Unset: one to a core, 16 at most, and one less
    where the engine computes on the processor."""
    picture_seconds: float = Field(20.0, gt=0)
    """How long one of them may say nothing over a picture before it is killed and replaced; the picture is tried once
    more, what waited behind it is done elsewhere."""
    stall_seconds: float = Field(20.0, ge=1)
    """How long the server may stand still before it is ended, for whatever watches it to start another; and how long a
    look at the store may take before it is given up."""
    stale_seconds: float | None = Field(None, ge=2)
    """How long the store may be out of sight before /readyz says 503, so that a balancer prefers servers that see it;
    requests are answered as before. Unset: for ever."""
    teach_jobs: int = Field(4, ge=0, le=100)
    """Teach jobs in hand at once, at most: one is done, the others wait. 0 takes none."""
    drain_notice_seconds: float = Field(3.0, ge=0)
    """How long a server that is told to stop goes on saying 503 at /readyz, at least, before it closes its port."""
    drain_seconds: float = Field(20.0, ge=0)
    """How long requests in hand may take to finish after a request to stop."""

    log_format: Literal["text", "json"] = "text"
    """The log's one line a request, as text or as a JSON object."""
    otlp_endpoint: str = Field("", validation_alias=_OTLP)
    """Where there is one, requests are traced. OpenTelemetry's own variable; its SDK reads the others itself."""

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Settings from `VTV_*` variables; those in `flags` that are not None win.

        Raises SettingsError with one line about the first that is wrong, named as it was given: `--port`, `VTV_PORT`.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        for name in os.environ:
            if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in cls.model_fields:
                raise SettingsError(f"{name}: there is no such setting")
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(message)
        name = str(first["loc"][0])
        raise SettingsError(f"{f'--{name}' if name in given else PREFIX + name.upper()}: {_decapitalized(message)}")

    @model_validator(mode="after")
    def _refuse_open_door(self) -> Self:
        if not (self.api_keys or self.allow_unauthenticated or _is_loopback(self.host)):
            raise ValueError(
                f"refusing to listen on {self.host}: requests carry no key, so anyone who reaches it "
                f"could use it. Set {PREFIX}API_KEYS, or {PREFIX}ALLOW_UNAUTHENTICATED=1 to allow that."
            )
        return self

    @property
    def connection_limits(self) -> ConnectionLimits:
        """Of the HTTP server."""
        return ConnectionLimits(
            self.max_connections,
            self.max_connections_per_client,
            self.max_header_bytes,
            self.max_headers,
            self.header_seconds,
            self.body_seconds,
            self.keep_alive_seconds,
        )

    @property
    def hosts(self) -> frozenset[str]:
        """Lower-case names that a Host header may give; none stands for any."""
        if self.allowed_hosts or self.api_keys or not _is_loopback(self.host):
            return frozenset(host.lower() for host in self.allowed_hosts)
        return frozenset(("localhost", "127.0.0.1", "[::1]", self.host.lower()))

    @property
    def picture_limits(self) -> PictureLimits:
        """Of one image."""
        return PictureLimits(self.max_pixels, self.max_aspect, self.max_scans, self.max_image_bytes)

    @property
    def precision_taught(self) -> Precision:
        """What classification tasks are taught in: what they are then served in."""
        return self.tower_precision if self.backend in ("auto", "openvino") else "float32"

    def codecs_beside(self, device: str) -> int:
        """How many codec processes go with an engine on a device: one to a core, but for the one that an engine on the
        processor itself has more use for."""
        cores = os.cpu_count() or 1
        return self.codec_processes or max(1, min(_MOST_CODECS, cores - (device == "cpu")))

    def images_in_hand(self, max_batch: int) -> int:
        """At most, beside an engine whose largest batch is `max_batch`."""
        return self.queue_limit or max(_LEAST_IN_HAND, _BATCHES_IN_HAND * max_batch)

    def images_per_request(self, max_batch: int) -> int:
        """At most: more than a client's share of the queue could never be admitted."""
        return min(self.max_images or max(_LEAST_PER_REQUEST, max_batch), self.images_per_client(max_batch))

    def images_per_client(self, max_batch: int) -> int:
        """In hand at once, of one client."""
        return max(1, int(self.images_in_hand(max_batch) * self.client_share))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _decapitalized(words: str) -> str:
    return words[:1].lower() + words[1:]
