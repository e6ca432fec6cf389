"""A small client of the distribution protocol: blobs that go on where they broke, manifests, tags, referrers.

A login goes to the registry, and to the token server that it names (`authentication`): no other host that an answer
points to gets a header with it. Plain HTTP is for loopback.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import urljoin

import httpx

from pipeline.errors import PublishError
from pipeline.loopback import is_loopback
from pipeline.publishing.items import CHUNK, Item, Progress
from pipeline.publishing.oci.artifacts import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from pipeline.publishing.oci.authentication import Authentication, origin
from pipeline.publishing.oci.connections import ODD, Answer, Connections, is_private
from pipeline.publishing.oci.refusals import refused, unreachable

CHUNK_BYTES = 32 * 1024 * 1024
"""Bytes of one request of an upload; a smaller file goes in one."""
TRIES = 4
"""Requests for the same bytes when the connection breaks, or the registry has an error of its own (5xx)."""
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,15})")
_MANIFESTS = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}"
_HUB_HOST = "registry-1.docker.io"
_SERVER_ERROR = 500


class Registry:
    """One repository of one registry, as a context manager. Every method raises PublishError."""

    def __init__(self, host: str, repository: str) -> None:
        scheme = "http" if is_loopback(host) else "https"
        name = _HUB_HOST if host in {"docker.io", "index.docker.io"} else host
        self.where = f"oci://{host}/{repository}"
        self._base = f"{scheme}://{name}/v2/{repository}/"
        self._connections = Connections(self.where)
        self._login = Authentication(host, f"{scheme}://{name}/", self._connections, self.where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    def has_blob(self, item: Item) -> bool:
        """Tell whether the repository holds these bytes: the registry knows them by their sha256."""
        answer = self._ask("HEAD", f"blobs/sha256:{item.sha256}", item.name)
        if answer.status in {httpx.codes.OK, httpx.codes.TEMPORARY_REDIRECT}:
            self._same(item, answer.digest)
            return True
        if answer.status == httpx.codes.NOT_FOUND:
            return False
        raise refused(item.name, self.where, answer.status, answer.body)

    def send_blob(self, item: Item, progress: Progress) -> None:
        """Upload a blob. The registry hashes it, and refuses it where the digest differs."""
        answer = self._ask("POST", f"blobs/uploads/?mount=sha256:{item.sha256}", item.name, content=b"")
        if answer.status != httpx.codes.CREATED:
            self._expect(answer, {httpx.codes.ACCEPTED}, item.name)
            answer = self._upload(item, self._location(answer, item.name), progress)
        self._same(item, answer.digest)
        progress.set(item.size)

    def manifest_digest(self, reference: str) -> str | None:
        """Return the digest (`sha256:…`) that a tag or digest stands for, None where there is none."""
        answer = self._ask("HEAD", f"manifests/{reference}", reference, headers={"Accept": _MANIFESTS})
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        self._expect(answer, {httpx.codes.OK}, reference)
        return answer.digest or "sha256:" + hashlib.sha256(self.manifest(reference) or b"").hexdigest()

    def manifest(self, reference: str) -> bytes | None:
        """Read a manifest back, None where there is none."""
        answer = self._ask("GET", f"manifests/{reference}", reference, headers={"Accept": _MANIFESTS})
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        self._expect(answer, {httpx.codes.OK}, reference)
        return answer.body

    def send_manifest(self, reference: str, media_type: str, content: bytes) -> bool:
        """Put a manifest under a tag or its digest; return whether the registry lists it as a referrer by itself."""
        headers = {"Content-Type": media_type}
        answer = self._ask("PUT", f"manifests/{reference}", f"manifest {reference}", headers=headers, content=content)
        self._expect(answer, {httpx.codes.CREATED, httpx.codes.ACCEPTED, httpx.codes.OK}, f"manifest {reference}")
        expected = "sha256:" + hashlib.sha256(content).hexdigest()
        if answer.digest and answer.digest != expected:
            raise self._differs(f"manifest {reference}", expected, answer.digest)
        return "OCI-Subject" in answer.headers

    def referrers(self, digest: str) -> list[Any]:
        """Return what refers to a manifest: the registry's own list, or the one that stands under a tag."""
        url = urljoin(self._base, f"referrers/{digest}")
        answer = self._patiently("GET", url, "referrers", None, {"Accept": _MANIFESTS})
        body = answer.body if answer.status == httpx.codes.OK else self.manifest(digest.replace(":", "-"))
        found = parse_json(body or b"null")
        listed = found.get("manifests") if isinstance(found, dict) else None
        return listed if isinstance(listed, list) else []

    def _upload(self, item: Item, url: str, progress: Progress) -> Answer:
        """Send the bytes to an upload's address, in chunks if they are many; return the answer to the last request."""
        separator = "&" if "?" in url else "?"
        if item.size <= CHUNK_BYTES:
            whole = self._patiently("PUT", f"{url}{separator}digest=sha256:{item.sha256}", item.name, item.read())
            return self._expect(whole, {httpx.codes.CREATED}, item.name)
        done, furthest, tries = 0, 0, 0
        while done < item.size:
            answer = self._chunk(item, url, done, progress)
            if answer is not None and answer.status in {httpx.codes.ACCEPTED, httpx.codes.NO_CONTENT}:
                url, done = self._location(answer, item.name, url), min(done + CHUNK_BYTES, item.size)
                if done > furthest:  # a registry that loses what it took is not tried for ever
                    furthest, tries = done, 0
                continue
            if (
                answer is not None
                and answer.status < _SERVER_ERROR
                and answer.status != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
            ):
                raise refused(item.name, self.where, answer.status, answer.body)
            tries += 1
            if tries == TRIES:
                error = httpx.TransportError("broken")
                raise (
                    unreachable(item.name, self.where, error)
                    if answer is None
                    else refused(item.name, self.where, answer.status, answer.body)
                )
            time.sleep(tries)
            url, done = self._resumed(url, item.name)
        separator = "&" if "?" in url else "?"
        last = self._patiently("PUT", f"{url}{separator}digest=sha256:{item.sha256}", item.name, b"")
        return self._expect(last, {httpx.codes.CREATED}, item.name)

    def _chunk(self, item: Item, url: str, start: int, progress: Progress) -> Answer | None:
        """Send one chunk; None where the connection broke."""
        end = min(start + CHUNK_BYTES, item.size)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{start}-{end - 1}",
            "Content-Length": str(end - start),
        }

        def parts() -> Iterator[bytes]:
            with item.open() as stream:
                stream.seek(start)
                done = start
                while done < end and (part := stream.read(min(CHUNK, end - done))):
                    yield part
                    done += len(part)
                    progress.set(done)

        try:
            return self._send("PATCH", url, headers, parts)
        except httpx.TransportError:
            return None
        except ODD as error:
            raise unreachable(item.name, self.where, error) from None

    def _resumed(self, url: str, what: str) -> tuple[str, int]:
        """Ask how far an upload came; return where it goes on, and from which byte."""
        answer = self._patiently("GET", url, what, None)
        if answer.status == httpx.codes.NOT_FOUND:  # the registry gave it up: begin anew
            begun = self._ask("POST", "blobs/uploads/", what, content=b"")
            return self._location(self._expect(begun, {httpx.codes.ACCEPTED}, what), what), 0
        self._expect(answer, {httpx.codes.NO_CONTENT, httpx.codes.OK, httpx.codes.ACCEPTED}, what)
        match = _RANGE.fullmatch(answer.headers.get("Range", ""))
        done = int(match[1]) + 1 if match else 0
        return self._location(answer, what, url), 0 if done == 1 else done  # `0-0` is how registries write "nothing"

    def _ask(
        self, method: str, path: str, what: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        return self._patiently(method, urljoin(self._base, path), what, content, headers)

    def _patiently(
        self, method: str, url: str, what: str, content: bytes | None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request that may be sent twice; try again what the network or the registry (5xx) let down."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._send(method, url, headers or {}, content)
            except ODD as error:
                if attempt == TRIES or not isinstance(error, httpx.TransportError):
                    raise unreachable(what, self.where, error) from None
            else:
                full = answer.status == httpx.codes.INSUFFICIENT_STORAGE
                if answer.status < _SERVER_ERROR or full or attempt == TRIES:
                    return answer
            time.sleep(attempt)
        raise AssertionError

    def _send(self, method: str, url: str, headers: dict[str, str], content: Any) -> Answer:
        """Send one request, with the login where it belongs; one more where the registry asks for another login."""
        for last in (False, True):
            body = content() if callable(content) else content
            answer = self._connections.ask(method, url, {**headers, **self._login.header(url)}, content=body)
            if last or answer.status != httpx.codes.UNAUTHORIZED or origin(url) != origin(self._base):
                return answer
            self._login.answer(answer.headers.get_list("WWW-Authenticate"))
        raise AssertionError

    def _location(self, answer: Answer, what: str, before: str = "") -> str:
        """Return where an upload goes on. Never to plain HTTP of another machine."""
        try:
            url = urljoin(answer.url, str(answer.headers.get("Location", before)))
        except ValueError:
            url = ""
        if is_private(url):
            return url
        message = f"cannot publish {what}: the registry sends uploads to an address without TLS, or to none"
        raise PublishError(message, where=self.where, advice="check the registry's settings for its own address")

    def _expect(self, answer: Answer, wanted: set[httpx.codes], what: str) -> Answer:
        if answer.status not in wanted:
            raise refused(what, self.where, answer.status, answer.body)
        return answer

    def _same(self, item: Item, digest: str) -> None:
        """Compare the digest that the registry tells, where it tells one."""
        if digest and digest != f"sha256:{item.sha256}":
            raise self._differs(item.name, f"sha256:{item.sha256}", digest)

    def _differs(self, what: str, expected: str, found: str) -> PublishError:
        message = f"{what} is not there as it was sent: {expected} was sent, the registry tells {found[:80]!r}"
        advice = "run again. If it happens again, the registry or a proxy changes files: do not use it"
        return PublishError(message, where=self.where, advice=advice)


def parse_json(content: bytes) -> Any:
    """Return what a registry sent as JSON, None for anything else."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
