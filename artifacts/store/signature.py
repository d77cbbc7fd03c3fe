"""Who made an artifact: Ed25519 signatures (RFC 8032) in the file's own metadata, so that they go wherever it goes.

Signed is the SHA-256 of the file as it is without `signature`, after a line that says what it is for. A file whose
header is not written as ours are is refused: of two entries of one name a reader might take another than was checked.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from artifacts.errors import ArtifactError, OfflineError
from artifacts.store.file import HEADER_LIMIT, canonical, check_header, joined, taken_apart

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE: Final = "signature"
_PURPOSE: Final = b"vtv artifact 1\n"
_MISSING: Final = "signatures need the package cryptography: pip install 'visual-task-vectors[sign]'"


def signed(content: bytes, key: Path) -> bytes:
    """An artifact's file, checked before, with a signature by the private key in a PEM file; one that it had goes.

    Raises OfflineError.
    """
    bare, _ = _unsigned(content)
    signature = _private_key(key).sign(_message(bare))
    header, tensors = taken_apart(bare)
    header["__metadata__"][SIGNATURE] = base64.b64encode(signature).decode()
    return joined(header, tensors)


@contextmanager
def signed_copy(path: Path, key: Path | None) -> Iterator[Path]:
    """The file at `path`, or where there is a key a copy that it signed. Raises OfflineError."""
    if key is None:
        yield path
        return
    check_header(path)
    try:
        content = signed(path.read_bytes(), key)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        raise ArtifactError(f"{path.name} is no artifact") from None
    with TemporaryDirectory(prefix="vtv-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content)
        yield copy


class TrustedKeys:
    """Public keys of those whose artifacts are taken."""

    def __init__(self, files: Sequence[Path]) -> None:
        """PEM files; raises OfflineError."""
        self._keys = [_public_key(file) for file in files]

    def check(self, content: bytes, what: str) -> None:
        """Raises ArtifactError, which begins with `what`, unless one of the keys signed an artifact's file."""
        from cryptography.exceptions import InvalidSignature

        try:
            bare, signature = _unsigned(content)
            written_as_ours = canonical(content) == content
        except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
            raise ArtifactError(f"{what} is no artifact") from None
        if signature is None:
            raise ArtifactError(f"{what} is not signed, and only what trusted keys signed is taken")
        for key in self._keys if written_as_ours else ():
            try:
                key.verify(signature, _message(bare))
            except InvalidSignature:
                continue
            return
        raise ArtifactError(f"{what} is not signed by one of the {len(self._keys)} trusted keys, or was changed since")


def _message(bare: bytes) -> bytes:
    return _PURPOSE + hashlib.sha256(bare).digest()


def _unsigned(content: bytes) -> tuple[bytes, bytes | None]:
    """A file without its signature, and that; None where there is none."""
    if struct.unpack("<Q", content[:8])[0] > HEADER_LIMIT:
        raise ValueError("a header beyond the limit")
    header, tensors = taken_apart(content)
    text = header["__metadata__"].pop(SIGNATURE, None)
    try:
        signature = None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error:
        signature = b""
    return joined(header, tensors), signature


def _private_key(path: Path) -> "Ed25519PrivateKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError:
        raise OfflineError(_MISSING) from None
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise OfflineError(
            f"{path} holds no Ed25519 private key: openssl genpkey -algorithm ed25519 -out {path} makes one"
        )
    return key


def _public_key(path: Path) -> "Ed25519PublicKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ModuleNotFoundError:
        raise OfflineError(_MISSING) from None
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise OfflineError(f"{path} holds no Ed25519 public key: openssl pkey -in KEY -pubout -out {path} makes one")
    return key
