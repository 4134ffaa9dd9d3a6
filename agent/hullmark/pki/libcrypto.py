"""The signatures of `signing` by the OpenSSL that Python's own TLS has loaded already: what an agent can afford to keep in memory.

No function of Python's gets called back, so that nothing here needs memory that is both written and executed.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import functools
import ssl
from typing import Any

from hullmark.errors import BrokenState

_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1")
_POINTERS = (
    "BIO_new_mem_buf PEM_read_bio_PrivateKey EVP_MD_CTX_new EVP_sha256 d2i_X509 X509_get_pubkey"
)
_MOST_BYTES = 256


@functools.cache
def _library() -> Any:
    """Raises BrokenState."""
    extension = getattr(ssl, "_ssl", None)
    for name in (getattr(extension, "__file__", None), None, *_NAMES):
        try:
            found = ctypes.CDLL(name)
            _ = found.EVP_DigestSign
        except (OSError, AttributeError):
            continue
        for pointer in _POINTERS.split():
            getattr(found, pointer).restype = ctypes.c_void_p
        return found
    raise BrokenState("OpenSSL's libcrypto is not to be found in this Python")


def sign(key_pem: bytes, content: bytes) -> str:
    """By a private key in PEM form. Raises BrokenState for what is none."""
    library = _library()
    bio = ctypes.c_void_p(library.BIO_new_mem_buf(key_pem, len(key_pem)))
    try:
        # An empty passphrase, so that nobody is asked for one at a terminal.
        key = ctypes.c_void_p(library.PEM_read_bio_PrivateKey(bio, None, None, b""))
    finally:
        library.BIO_free(bio)
    try:
        return base64.b64encode(_signed(library, key, content)).decode()
    finally:
        library.EVP_PKEY_free(key)
        library.ERR_clear_error()  # Python's TLS would take what is left for its own


def _signed(library: Any, key: ctypes.c_void_p, content: bytes) -> bytes:
    if key.value is None:
        raise BrokenState("not a private key in PEM form")
    context = ctypes.c_void_p(library.EVP_MD_CTX_new())
    sha256 = ctypes.c_void_p(library.EVP_sha256())
    made = ctypes.create_string_buffer(_MOST_BYTES)
    size = ctypes.c_size_t(_MOST_BYTES)
    try:
        begun = library.EVP_DigestSignInit(context, None, sha256, None, key)
        length = ctypes.c_size_t(len(content))
        if (
            begun != 1
            or library.EVP_DigestSign(context, made, ctypes.byref(size), content, length) != 1
        ):
            raise BrokenState("OpenSSL does not sign with this key")
    finally:
        library.EVP_MD_CTX_free(context)
    return made.raw[: size.value]


def is_signed(certificate_der: bytes, content: bytes, signature: str) -> bool:
    """Whether the certificate's key signed the content."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    library = _library()
    place = ctypes.c_char_p(certificate_der)
    certificate = ctypes.c_void_p(
        library.d2i_X509(None, ctypes.byref(place), ctypes.c_long(len(certificate_der)))
    )
    key = ctypes.c_void_p(library.X509_get_pubkey(certificate) if certificate.value else None)
    try:
        return key.value is not None and _fits(library, key, content, given)
    finally:
        library.EVP_PKEY_free(key)
        library.X509_free(certificate)
        library.ERR_clear_error()


def _fits(library: Any, key: ctypes.c_void_p, content: bytes, signature: bytes) -> bool:
    context = ctypes.c_void_p(library.EVP_MD_CTX_new())
    sha256 = ctypes.c_void_p(library.EVP_sha256())
    try:
        if library.EVP_DigestVerifyInit(context, None, sha256, None, key) != 1:
            return False
        sizes = ctypes.c_size_t(len(signature)), ctypes.c_size_t(len(content))
        answer = library.EVP_DigestVerify(context, signature, sizes[0], content, sizes[1])
        return bool(answer == 1)
    finally:
        library.EVP_MD_CTX_free(context)
