"""Sets up the clients of object stores so that nobody waits long for a service that is away, and knows their answers.

Each library has limits of its own: s3fs tries a request five times and waits a minute each time, gcsfs waits for ever, and the
client of Azure goes on for five minutes. Here each request is tried `TRIES` times and waits up to `ANSWER_S` for each answer.
The libraries are extras; none is imported before a URL needs it.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

TRIES: Final = 3
"""A request is tried this many times. With S3, the read of a whole file may make TRIES x TRIES requests."""

ANSWER_S: Final = 15.0
"""A service has this many seconds to accept a connection, and to send the next bytes of its answer."""

BETWEEN_S: Final = 1.0
"""The client of Azure waits about this long before it tries again, and a little longer each time."""

PART_BYTES: Final = 16 << 20
"""A larger file is uploaded in parts of this many bytes."""

PARTS_AT_ONCE: Final = 2
"""This many parts are uploaded at once. While a part is uploaded, memory holds several copies of it."""

CONNECTIONS: Final = 32
"""At most this many connections to S3 are open: more than any store needs at once. botocore's default of 10 would be too few."""

EXTRAS: Final = {"s3": "s3", "gs": "gcs", "az": "azure"}
"""Scheme -> the extra of this package that installs its file system."""

RIGHTS: Final = {
    "s3": "s3:DeleteObject",
    "gs": "storage.objects.delete",
    "az": "the role Storage Blob Data Contributor",
}
"""Scheme -> the right to delete a file."""

GOOGLE_BOUNDARY: Final = b"--==0=="
"""gcsfs sends a small file as one part of a message between these bytes, so a file that holds them would be cut there."""

GOOGLE_WHOLE_BYTES: Final = 5 << 20
"""gcsfs sends a file from disk in such a message if it has fewer bytes than this."""

_ERRORS: Final = {
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError", "ChecksumError"),
    "google.auth.exceptions": ("GoogleAuthError",),
}
"""Module -> the classes of errors, besides OSError, that its file systems raise."""

_TIMEOUTS: Final = {
    "aiohttp": ("ServerTimeoutError",),
    "azure.core.exceptions": ("ServiceResponseTimeoutError", "ServiceRequestTimeoutError"),
    "botocore.exceptions": ("ReadTimeoutError",),
    "fsspec.exceptions": ("FSTimeoutError",),
}
"""Module -> the classes of errors which say that a service did not answer in time."""


def prepare(scheme: str, options: dict[str, Any]) -> None:
    """Add to the options of a file system what its class needs when it is made. Raises ImportError without its package."""
    if scheme == "s3":
        retries = {"total_max_attempts": 1}
        options["config_kwargs"] = {"retries": retries, "max_pool_connections": CONNECTIONS}
        options["session"] = _s3_session(options.pop("profile", None))
    elif scheme == "gs":
        # Otherwise gcsfs would ask for the type of each bucket by gRPC first, at a place that only Google's own service has.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        from aiohttp import ClientTimeout

        options["requests_timeout"] = ClientTimeout(sock_connect=ANSWER_S, sock_read=ANSWER_S)


def limit(scheme: str, made: Any) -> None:
    """Limit the tries of a file system that has been made, and the time that it waits for each answer."""
    if scheme == "s3":
        made.retries = TRIES
    elif scheme == "gs":
        from gcsfs.retry import retry_request

        request = type(made)._request.__wrapped__  # noqa: SLF001 - the number of tries is fixed in its decorator
        made._request = retry_request(retries=TRIES)(request).__get__(made)  # noqa: SLF001
    elif scheme == "az":
        client = made.service_client
        policy, connection = client._config.retry_policy, client._pipeline._transport.connection_config  # noqa: SLF001
        policy.total_retries = policy.connect_retries = policy.read_retries = policy.status_retries = TRIES - 1
        policy.initial_backoff, policy.increment_base, policy.random_jitter_range = BETWEEN_S, 1.0 + BETWEEN_S, 0
        connection.timeout = connection.read_timeout = ANSWER_S


def send(made: Any, scheme: str, at: str, data: bytes, **mode: str) -> None:
    """Write a file of these bytes. With `mode="create"`, FileExistsError or an error of the service says that there is one."""
    options = _upload_options(scheme)
    if scheme == "gs" and GOOGLE_BOUNDARY in data:  # at least `chunksize` bytes go by themselves, without a boundary
        options["chunksize"] = min(len(data), PART_BYTES)
    made.pipe_file(at, data, **mode, **options)


def send_file(made: Any, scheme: str, at: str, path: str, **mode: str) -> None:
    """Write a file that lies at a path of this machine, in parts if it is large. `mode` is as in `send`."""
    if scheme == "gs" and Path(path).stat().st_size < GOOGLE_WHOLE_BYTES:
        send(made, scheme, at, Path(path).read_bytes(), **mode)
    else:
        made.put_file(path, at, **mode, **_upload_options(scheme))


def _upload_options(scheme: str) -> dict[str, Any]:
    if scheme in ("s3", "gs"):
        return {"chunksize": PART_BYTES} | ({"max_concurrency": PARTS_AT_ONCE} if scheme == "s3" else {})
    return {"max_concurrency": PARTS_AT_ONCE} if scheme == "az" else {}


def _s3_session(profile: str | None) -> Any:
    """Make a session that writes without `Expect: 100-continue`, whose answer aiohttp would await without a time limit."""
    from aiobotocore.session import AioSession
    from botocore.handlers import add_expect_header

    session = AioSession(profile=profile)
    session.unregister("before-call.s3", add_expect_header)
    session.register_component("data_loader", _s3_descriptions(session.get_config_variable("data_path")))
    return session


@cache
def _s3_descriptions(folders: str | None) -> Any:
    """Return the reader of the files that describe the services. Sessions share it, since it takes 50 ms to read them."""
    from botocore.loaders import create_loader

    return create_loader(folders)


def errors() -> tuple[type[BaseException], ...]:
    """Return the classes of errors that file systems raise. A module that is not loaded cannot have raised any."""
    # gcsfs raises a ValueError for each answer in whose text the word "invalid" stands
    return (OSError, *_loaded(_ERRORS), *((ValueError,) if "gcsfs" in sys.modules else ()))


def is_timeout(error: BaseException) -> bool:
    """Whether the service did not answer in time; False for an answer that is an error and for a connection that broke."""
    return isinstance(error, _loaded(_TIMEOUTS))


def is_conflict(error: BaseException) -> bool:
    """Whether S3 answered 409: another conditional write to this name is under way."""
    return "ConditionalRequestConflict" in f"{error} {error.__cause__}"


def is_denied(error: BaseException) -> bool:
    """Whether the service refused what the credentials may not do, such as to delete a file that must be kept."""
    # gcsfs raises an OSError that begins so; errors of Azure carry the status, and 409 is that of a file under a retention policy
    is_forbidden = isinstance(error, PermissionError) or str(error).startswith("Forbidden:")
    return is_forbidden or getattr(error, "status_code", None) in (403, 409)


def _loaded(names: dict[str, tuple[str, ...]]) -> tuple[type[BaseException], ...]:
    modules = ((sys.modules.get(module), classes) for module, classes in names.items())
    return tuple(getattr(module, name) for module, classes in modules if module for name in classes)
