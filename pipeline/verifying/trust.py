"""Who signed, and who vouches for that: the policy, a key that was named, or this user's own key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from pipeline.errors import ReleaseError
from pipeline.releasing.layout import PUBLIC_KEY, SIGNATURE
from pipeline.signing.certificates import read_certificates
from pipeline.signing.keys import fingerprint, pem_digest, public_key, read_private_key, read_public_key
from pipeline.signing.local_key import local_key_path
from pipeline.verifying.bundle import Bundle
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed
from pipeline.verifying.policy import Authority, Identity, Policy

_VOUCH = "name whom you trust: --key PUB.pem or --policy FILE; --any-signer looks at integrity only"


@dataclass(frozen=True)
class Signer:
    """Who is to have signed, and why that is believed.

    `key` verifies signature and envelopes; a Sigstore identity has another key for each of them, so it has none.
    `authority` and `identity` are those of the policy that a certificate has to lead to.
    """

    words: str
    key: EllipticCurvePublicKey | None = None
    authority: Authority | None = None
    identity: Identity | None = None


@dataclass(frozen=True)
class Trust:
    """What a verifier believes. `any_signer`: anybody, so that nothing but integrity is shown."""

    policy: Policy | None = None
    keys: tuple[EllipticCurvePublicKey, ...] = ()
    any_signer: bool = False
    unused: str = ""
    """Why this user's own key is not believed, where there is one and it cannot be."""
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @classmethod
    def of(cls, policy: Policy | None, key_files: list[Path], *, any_signer: bool) -> Trust:
        """Read the keys. Without policy, key and `any_signer` this user's own key is trusted, if there is one.

        Raises ReleaseError for a key file that cannot be read.
        """
        named = [*key_files, *(Path(name) for name in (policy.key_files if policy else ()))]
        keys = [read_public_key(path) for path in named]
        if policy is None and not named and not any_signer:
            own, unused = _own_key()
            return cls(policy, tuple(own), any_signer, unused)
        return cls(policy, tuple(keys), any_signer)

    def signers(self, bundle: Bundle, release: Opened) -> list[Signer]:
        """Return who may have signed, by what the signature says of itself: one or more, in the policy's order.

        Which of several it was, the signature shows. Raises ReleaseError for somebody whom nobody vouches for.
        """
        if self.any_signer:
            return [_anybody(bundle, release)]
        if bundle.kind == "key":
            return [self._by_key(bundle, release)]
        if bundle.kind == "certificate":
            return self._by_certificate(bundle)
        return self._by_identity(bundle)

    def _by_key(self, bundle: Bundle, release: Opened) -> Signer:
        for key in self.keys:
            if pem_digest(key) == bundle.hint:
                return Signer(f"key {fingerprint(key)}, which you trust", key)
        beside = _key_beside(bundle, release)
        if beside is None:
            message = f"it was made with a key whose PEM has the sha256 {bundle.hint[:64]!r}: nobody vouches for it"
            raise ReleaseError(message + self.unused, where=SIGNATURE, advice=_VOUCH)
        if self.policy and fingerprint(beside) in self.policy.keys:
            return Signer(f"key {fingerprint(beside)}, which the policy names", beside)
        message = f"it was made with the key {fingerprint(beside)}: nobody vouches for it"
        raise ReleaseError(message + self.unused, where=SIGNATURE, advice=_VOUCH)

    def _by_certificate(self, bundle: Bundle) -> list[Signer]:
        """Choose the authorities. That the roots of one lead to the certificate is verified with the signature."""
        if bundle.key in self.keys:
            words = f"key {fingerprint(bundle.key)}, which you trust, whatever its certificate says"
            return [Signer(words, bundle.key)]
        subject = bundle.chain[0].subject.rfc4514_string()
        found: list[Signer] = []
        refused: ReleaseError | None = None
        for authority in self.policy.certificates if self.policy else ():
            if authority.subject in (None, subject) and _issued(bundle.chain, authority):
                try:
                    _check_dates(bundle.chain, authority, self.now)
                except ReleaseError as error:
                    refused = error
                else:
                    words = f"certificate of {subject}, whose authority the policy names"
                    found.append(Signer(words, bundle.key, authority))
        if found:
            return found
        if refused:
            raise refused
        issuer = bundle.chain[-1].issuer.rfc4514_string()
        message = f"it was made with a certificate of {subject}, issued by {issuer}: nobody vouches for it"
        raise ReleaseError(message, where=SIGNATURE, advice=_VOUCH)

    def _by_identity(self, bundle: Bundle) -> list[Signer]:
        names = _alternative_names(bundle.chain[0])
        found = [
            Signer(f"{identity.identity}, for whom Sigstore and the policy vouch", identity=identity)
            for identity in (self.policy.sigstore if self.policy else ())
            if identity.identity in names
        ]
        if found:
            return found
        message = f"it was made by {', '.join(names) or 'nobody with a name'} (Sigstore): nobody vouches for that"
        raise ReleaseError(message, where=SIGNATURE, advice=_VOUCH)


def _anybody(bundle: Bundle, release: Opened) -> Signer:
    """Return the signer whom the release itself names."""
    if bundle.kind == "key":
        beside = _key_beside(bundle, release)
        if beside is None:
            advice = "name the key with --key"
            raise ReleaseError(f"the key that made it is not {PUBLIC_KEY}", where=SIGNATURE, advice=advice)
        return Signer(f"key {fingerprint(beside)}, for which NOBODY VOUCHES", beside)
    subject = bundle.chain[0].subject.rfc4514_string() or ", ".join(_alternative_names(bundle.chain[0]))
    return Signer(f"certificate of {subject}, for which NOBODY VOUCHES", bundle.key)


def _key_beside(bundle: Bundle, release: Opened) -> EllipticCurvePublicKey | None:
    """Return the key that lies in the folder, if it is the one that the signature names."""
    if PUBLIC_KEY not in release.contents:
        return None
    key = public_key(release.contents[PUBLIC_KEY], PUBLIC_KEY)
    return key if pem_digest(key) == bundle.hint else None


def _own_key() -> tuple[list[EllipticCurvePublicKey], str]:
    """Return this user's key, if there is one of use, and why not: what one signed oneself needs no further word."""
    try:
        path = local_key_path()
        return ([read_private_key(path).public_key()] if path.exists() else []), ""
    except (ReleaseError, OSError) as error:
        why = error.what if isinstance(error, ReleaseError) else error.strerror
        return [], f". Your own key is not used: {why}"


def _roots(authority: Authority) -> list[x509.Certificate]:
    return [certificate for root in authority.roots for certificate in read_certificates(Path(root))]


def _issued(chain: tuple[x509.Certificate, ...], authority: Authority) -> bool:
    """Tell whether a root of the authority is named as issuer somewhere in the chain."""
    subjects = [root.subject for root in _roots(authority)]
    return any(one.issuer in subjects for one in chain)


def _check_dates(chain: tuple[x509.Certificate, ...], authority: Authority, now: dt.datetime) -> None:
    """Refuse certificates that are not valid now: nothing proves that an expired one signed in its time.

    Unless the policy accepts that of this authority.
    """
    if authority.accept_expired:
        return
    issuers = {one.issuer for one in chain}
    roots = [root for root in _roots(authority) if root.subject in issuers]
    for one in (*chain, *roots):
        subject = one.subject.rfc4514_string()
        if now > one.not_valid_after_utc:
            message = f"the certificate of {subject} expired on {one.not_valid_after_utc:%Y-%m-%d}"
            advice = "nothing proves when it signed; ask for a newer release, or accept_expired = true in the policy"
            raise ReleaseError(message, where=SIGNATURE, advice=advice)
        if now < one.not_valid_before_utc:
            raise failed(
                f"the certificate of {subject} is valid from {one.not_valid_before_utc:%Y-%m-%d} on", SIGNATURE
            )


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    """Return the identities that Sigstore wrote into a certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in found if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier)]
