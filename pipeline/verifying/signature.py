"""`model.sig` over every file, verified by the package `model-signing`; and the envelopes, by the same signer."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from pipeline.releasing.layout import PROVENANCE, SIGNATURE
from pipeline.signing.envelope import is_signed_by, open_envelope
from pipeline.signing.keys import pem, pem_digest, usable
from pipeline.verifying.bundle import Bundle, certificate_of
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed, member, read_json, tables
from pipeline.verifying.statements import LINES
from pipeline.verifying.trust import Signer

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def check_signature(release: Opened, bundle: Bundle, signer: Signer) -> str:
    """Verify the signature, and hold every digest in it against the files. Raises ReleaseError.

    The package gets our digests, so no byte is hashed again; what a signature says that it ignores is not ignored.
    """
    _check_form(bundle)
    _check_names(release, bundle)
    from pipeline.signing.known_digests import KnownDigests  # noqa: PLC0415 - loads Sigstore: 0.7 s

    digests = {name: entry.sha256 for name, entry in release.entries.items() if name != SIGNATURE}
    digests |= {name: sha256 for name, sha256 in _signed(bundle).items() if name in release.absent}
    with tempfile.TemporaryDirectory() as name:
        try:
            configured, signature = _configured(_configuration(), bundle, signer, Path(name))
            configured.set_hashing_config(KnownDigests(digests))
            configured.verify(release.folder, signature)
        except Exception as error:  # the package and what stands under it raise of every family
            why = f" ({str(error)[:160]})" if str(error) else f" ({type(error).__name__})"
            raise failed(f"{SIGNATURE} was not made by {signer.words}{why}", SIGNATURE) from error
    return f"{SIGNATURE} covers all {len(digests)} other files, by {signer.words}"


def check_envelopes(release: Opened, bundle: Bundle, signer: Signer) -> str:
    """Verify both envelopes with the signer of the folder. Raises ReleaseError."""
    for at, (envelope, what) in enumerate(zip(release.envelopes, LINES, strict=True), start=1):
        where = f"{PROVENANCE}:{at}"
        payload, signature = open_envelope(envelope, where)
        if bundle.kind == "sigstore":
            _verify_by_sigstore(envelope, signer, where)
        elif signer.key is None or not is_signed_by(payload, signature, signer.key):
            raise failed(f"the envelope of the {what} is not signed by the signer of the folder", where)
    return f"the envelopes of {' and '.join(LINES)} are signed by the same"


def _configured(config: Any, bundle: Bundle, signer: Signer, folder: Path) -> tuple[Any, Path]:
    """Return the package's configuration, and the signature as a file: as it was read, whatever lies there now."""
    signature = folder / SIGNATURE
    raw = bundle.raw
    if signer.identity is not None:
        trust = signer.identity.trust
        config.use_sigstore_verifier(
            identity=signer.identity.identity,
            oidc_issuer=signer.identity.issuer,
            trust_config=Path(trust) if trust else _known_trust(folder),
        )
    elif signer.authority is not None:
        config.use_certificate_verifier(certificate_chain=[Path(root) for root in signer.authority.roots])
    elif signer.key is not None:
        # Also for a certificate that nobody vouches for: its key is held against the signature, and nothing else of it.
        raw = {**raw, "verificationMaterial": {"publicKey": {"hint": pem_digest(signer.key)}, "tlogEntries": []}}
        (folder / "key.pem").write_bytes(pem(signer.key))
        config.use_elliptic_key_verifier(public_key=folder / "key.pem")
    signature.write_text(json.dumps(raw), encoding="utf-8")
    return config, signature


def _configuration() -> Any:
    from model_signing import verifying  # noqa: PLC0415 - loads Sigstore: 0.7 s

    return verifying.Config()  # type: ignore[no-untyped-call] # the package leaves it without types


def _known_trust(folder: Path) -> Path:
    """Write down Sigstore's own trust configuration as its package knows it, without asking the network."""
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415 - 0.7 s

    path = folder / "trust.json"
    path.write_text(ClientTrustConfig.production(offline=True)._inner.to_json(), encoding="utf-8")  # noqa: SLF001 - no other way
    return path


def _verify_by_sigstore(envelope: dict[str, Any], signer: Signer, where: str) -> None:
    """Verify an envelope with the certificate and log entry that stand beside it. Raises ReleaseError."""
    if signer.identity is None:  # anybody is believed: the key of the certificate beside it has signed, no more
        certificate = certificate_of(member(envelope, "verificationMaterial/certificate", dict, where), where)
        payload, signature = open_envelope(envelope, where)
        if not is_signed_by(payload, signature, usable(certificate.public_key(), where)):
            raise failed("the envelope is not signed by the certificate beside it", where)
        return
    from sigstore.models import Bundle as SigstoreBundle  # noqa: PLC0415 - 0.7 s
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415
    from sigstore.verify import Verifier, policy  # noqa: PLC0415

    try:
        trust = signer.identity.trust
        config = (
            ClientTrustConfig.from_json(Path(trust).read_text(encoding="utf-8"))
            if trust
            else ClientTrustConfig.production(offline=True)
        )
        wanted = policy.Identity(identity=signer.identity.identity, issuer=signer.identity.issuer)
        bundle = SigstoreBundle.from_json(json.dumps(bundle_of(envelope)))
        Verifier(trusted_root=config.trusted_root).verify_dsse(bundle, wanted)
    except Exception as error:  # Sigstore's client raises of every family
        raise failed(f"the envelope is not signed by {signer.identity.identity}: {str(error)[:160]}", where) from error


def bundle_of(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the Sigstore bundle that an envelope with its `verificationMaterial` was made of."""
    inner = {name: envelope.get(name) for name in ("payload", "payloadType", "signatures")}
    material = envelope.get("verificationMaterial")
    return {"mediaType": _MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": inner}


def _check_form(bundle: Bundle) -> None:
    """Refuse what this verifier does not hash: shards, and digests other than sha256."""
    statement = _statement(bundle)
    method = member(statement, "predicate/serialization/method", str, SIGNATURE)
    hashed = member(statement, "predicate/serialization/hash_type", str, SIGNATURE)
    if (method, hashed) != ("files", "sha256"):
        raise failed(f"{SIGNATURE} names {method} by {hashed[:20]}, a release names files by sha256", SIGNATURE)


def _check_names(release: Opened, bundle: Bundle) -> None:
    """Say which files differ from those signed, in words of ours. The package compares them all once more."""
    signed = _signed(bundle)
    there = {name: entry.sha256 for name, entry in release.entries.items() if name != SIGNATURE}
    problems = [
        f"{name} is not what was signed" for name in sorted(there) if signed.get(name, there[name]) != there[name]
    ]
    problems += [f"{name} was signed and is missing" for name in sorted(set(signed) - set(there) - release.absent)]
    problems += [f"{name} was not signed" for name in sorted(set(there) - set(signed))]
    if problems:
        raise failed(listed(problems), SIGNATURE)


def _signed(bundle: Bundle) -> dict[str, str]:
    """Return path → sha256 of what was signed. Raises ReleaseError."""
    found = {}
    for one in tables(_statement(bundle), "predicate/resources", SIGNATURE):
        found[member(one, "name", str, SIGNATURE)] = member(one, "digest", str, SIGNATURE)
    return found


def _statement(bundle: Bundle) -> Any:
    payload, _ = open_envelope(bundle.raw["dsseEnvelope"], SIGNATURE)
    return read_json(payload, SIGNATURE)
