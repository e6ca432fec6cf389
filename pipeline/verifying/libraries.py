"""The libraries for signatures and schemas take seconds to load: that is done while the files are read."""

from __future__ import annotations

import contextlib
import threading


def load_meanwhile() -> None:
    """Start loading them beside whatever comes next. A check that needs one waits for it, and tells what is wrong."""
    threading.Thread(target=_load, name="libraries", daemon=True).start()


def _load() -> None:
    with contextlib.suppress(Exception):  # whoever needs the library meets its fault
        import model_signing.verifying  # noqa: F401, PLC0415 - loads Sigstore

    with contextlib.suppress(Exception):
        import cyclonedx.validation.json  # noqa: F401, PLC0415 - loads a JSON schema engine
