"""A key and a certificate for one sweep: who has them belongs to it, on either side of each connection."""

import datetime
from dataclasses import dataclass, field
from typing import Any

# clocks of two hosts may be hours apart, and a sweep may take weeks
_BEFORE, _AFTER = datetime.timedelta(days=2), datetime.timedelta(days=60)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM; in memory alone, and never in what is printed of it."""

    certificate: str
    key: str = field(repr=False)

    @classmethod
    def new(cls) -> "Pair":
        """Make a pair of elliptic curve P-256, signed by itself."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fashionboard sweep")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())

    def security(self) -> Any:
        """Return what Dask needs for TLS in which each side shows this certificate and asks for it."""
        from distributed import Security

        roles = ("client", "scheduler", "worker")
        pairs = {f"tls_{role}_cert": self.certificate for role in roles}
        keys = {f"tls_{role}_key": self.key for role in roles}
        return Security(require_encryption=True, tls_ca_file=self.certificate, **pairs, **keys)
