"""Patient keys: what stands for a patient in the logs, so that answers to images of one patient are known as such.

A sender names the patient as it likes; nothing of that is ever written. The log holds HMAC-SHA256 (RFC 2104) of
the name under a secret of this service's own: equal for equal names, and without the secret nobody can try out
names on the log. Who deletes the secret makes all keys anonymous, and later ones differ from them;
replicas that run have to be started again.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path

from medray.serving.engine.audit_log import AuditError

SECRET = "patients.secret"  # beside the audit log's folder, readable by its owner alone
DIGITS = 32  # of a key: 128 bits
LONGEST = 128  # characters of a sender's name for a patient


class PatientKeys:
    """Makes the keys of patients by the secret in a folder, which all replicas of a service share.

    One that only `reads` leaves the folder as it is: without a secret no key in the log can be met, and one that
    is forgotten does as well.
    """

    def __init__(self, folder: Path, *, reads: bool = False) -> None:
        self.path, self.reads = folder / SECRET, reads

    def key(self, patient: str) -> str:
        """Return the key of a patient.

        Raises:
            AuditError: the secret can't be read, or made where there is none.
        """
        return hmac.new(
            self._secret, patient.strip().encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()[:DIGITS]

    @cached_property
    def _secret(self) -> bytes:
        try:
            if not self.path.exists():
                if self.reads:
                    return secrets.token_bytes(DIGITS)
                self._make()
            secret = self.path.read_bytes()
        except OSError as error:
            raise AuditError(f"{self.path} can't be used: {error.strerror}") from None
        if len(secret) < DIGITS:
            raise AuditError(f"{self.path} is damaged: it holds {len(secret)} bytes")
        return secret

    def _make(self) -> None:
        """Write a secret whole; where another replica was first, its secret stays."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.path.with_name(f"{SECRET}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_hex(DIGITS).encode())
            with contextlib.suppress(FileExistsError):
                self.path.hardlink_to(unfinished)
        finally:
            unfinished.unlink(missing_ok=True)
