"""Whom a verifier trusts: keys, certificate authorities, Sigstore identities, and which waived gates are accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import UsageError
from pipeline.recipe_errors import Problem, problems_of
from pipeline.toml_text import MAX_BYTES, key_lines, line_of, parse


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Fingerprint = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]


class Authority(_Table):
    """Certificates that are trusted because of who issued them."""

    roots: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(description="PEM files of root certificates.")
    subject: str | None = Field(
        None, min_length=1, description="The signer's subject, as RFC 4514 writes it; any without it."
    )
    accept_expired: bool = Field(
        False, description="Accept certificates that have expired since. No time stamp says when it was signed."
    )


class Identity(_Table):
    """One identity that Sigstore vouches for."""

    identity: Name = Field(description="The e-mail address, or the address of the workflow.")
    issuer: Name = Field(description="The OpenID provider that knows it.")
    trust: str | None = Field(None, min_length=1, description="Trust configuration of a Sigstore of one's own (JSON).")


class Policy(_Table):
    """A policy file. Paths in it are relative to the file."""

    keys: tuple[Fingerprint, ...] = Field((), description="Fingerprints of keys.")
    key_files: tuple[Name, ...] = Field((), description="PEM files of public keys.")
    certificates: tuple[Authority, ...] = ()
    sigstore: tuple[Identity, ...] = ()
    accepted_waivers: tuple[Name, ...] = Field((), description="Gates that may have been waived.")


def read_policy(path: Path) -> Policy:
    """Read a policy; its paths become absolute. Raises UsageError with every problem."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
        raw = parse(text) if len(content) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise _wrong(path, [f"it cannot be read: {why}"]) from error
    if raw is None:
        raise _wrong(path, [f"it has more than {MAX_BYTES:,} bytes"])
    try:
        policy = Policy.model_validate(_tuples(raw))
    except ValidationError as error:
        lines = key_lines(text)
        problems: list[Problem] = problems_of(error, raw, Policy)
        raise _wrong(path, [str(one.located(str(path), line_of(lines, one.key))) for one in problems]) from error
    if not (policy.keys or policy.key_files or policy.certificates or policy.sigstore):
        raise _wrong(path, ["it trusts nobody: name keys, key_files, [[certificates]] or [[sigstore]]"])
    return _absolute(policy, path.resolve().parent)


def _tuples(value: Any) -> Any:
    """Return TOML's lists as the tuples that a frozen model holds."""
    if isinstance(value, dict):
        return {name: _tuples(one) for name, one in value.items()}
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _absolute(policy: Policy, folder: Path) -> Policy:
    authorities = [
        one.model_copy(update={"roots": tuple(str(folder / root) for root in one.roots)}) for one in policy.certificates
    ]
    identities = [
        one.model_copy(update={"trust": str(folder / one.trust) if one.trust else None}) for one in policy.sigstore
    ]
    files = tuple(str(folder / name) for name in policy.key_files)
    changed = {"key_files": files, "certificates": tuple(authorities), "sigstore": tuple(identities)}
    return policy.model_copy(update=changed)


def _wrong(path: Path, problems: list[str]) -> UsageError:
    message = "\n".join(["the policy is of no use:", *(f"  {one}" for one in problems)])
    return UsageError(message, where=str(path), advice="docs/verifying.md shows a policy")
