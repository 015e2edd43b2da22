"""Certificates: what they state, and their check by the kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .arrays import from_bits, from_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import arrays
    from .model import Model


@dataclass(frozen=True)
class CheckedClaim:
    """A claim that a check accepted."""

    id: str
    #: ``proved``, ``checked`` (a residual that was recomputed) or ``estimated`` (a statistic, which no check repeats).
    assurance: str
    #: Whether the checker derived the claim again. An estimate it does not repeat.
    established: bool
    #: The claim in words, and where it holds.
    statement: str
    domain: str
    #: ``real`` (exact on the weights of the file) or ``float32`` (as deployed).
    semantics: str
    #: Whether nothing lies in the domain, so that the claim says nothing about the model.
    vacuous: bool


@dataclass(frozen=True)
class Checked:
    """What a check of a certificate came to."""

    claims: tuple[CheckedClaim, ...]
    #: Why the certificate is refused, with its code; then none of it counts.
    refusal: str | None

    @property
    def accepted(self) -> bool:
        """Whether no claim was refused."""
        return self.refusal is None

    @property
    def established(self) -> bool:
        """Whether every claim was proved or recomputed, and none is vacuous: exit code 0 of ``verify check``."""
        return self.accepted and all(claim.established and not claim.vacuous for claim in self.claims)

    def __bool__(self) -> bool:
        raise TypeError("ask for `.accepted` or `.established`")

    @classmethod
    def _read(cls, text: str) -> Checked:
        found = json.loads(text)
        names = CheckedClaim.__dataclass_fields__
        claims = (CheckedClaim(**{name: claim[name] for name in names}) for claim in found["claims"])
        return cls(tuple(claims), found["refusal"])


@dataclass(frozen=True)
class Certificate:
    """Claims with witnesses, about one model. What it is worth, :meth:`check` says."""

    #: SHA-256 of what it states.
    digest: str
    _handle: _core.Certificate = field(repr=False, compare=False)

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The claims as the file has them (``verify schema certificate``)."""
        claims: list[dict[str, Any]] = json.loads(self._handle.json())["claims"]
        return claims

    def vector(self, stated: Any) -> NDArray[np.float64]:
        """Returns a vector of a claim, from the certificate or the bundle beside it.

        Raises:
            LookupError: the bundle has no such vector.
        """
        if isinstance(stated, Mapping):
            found = self._handle.vector(stated["vector"])
            if found is None:
                raise LookupError("the bundle of the certificate has no such vector")
            return from_npy(found)
        return np.array([from_bits(bits) for bits in stated], dtype=np.float64)

    def write(self, path: arrays.Path) -> None:
        """Writes it, and, where it has long vectors, a bundle beside it: what ``verify check`` reads.

        Raises:
            NnverifyError: a file cannot be written.
        """
        self._handle.write(path)

    def check(self, model: Model, files: Iterable[arrays.Path] | Mapping[str, bytes] = ()) -> Checked:
        """Proves every claim again, from the model's file, in sound arithmetic; no solver is involved.

        Args:
            model: the model that it is about.
            files: the data and specification files that its claims name: paths, or bytes by name. They are found by what
                is in them.

        Raises:
            NnverifyError: the model or a file cannot be read. A claim that is not proved is no error: see ``refusal``.
        """
        if isinstance(files, Mapping):
            given = list(files.items())
        else:
            given = [(Path(path).name, Path(path).read_bytes()) for path in files]
        return Checked._read(self._handle.check(model.path, given))

    @classmethod
    def _of(cls, core: _core.Certificate) -> Certificate:
        return cls(core.digest, core)


def read_certificate(path: arrays.Path) -> Certificate:
    """Reads a certificate, and the bundle beside it.

    Raises:
        NnverifyError: the file cannot be read, or is no certificate.
    """
    return Certificate._of(_core.Certificate.read(path))


def check(
    certificate: Certificate | arrays.Path,
    model: Model | arrays.Path,
    files: Iterable[arrays.Path] | Mapping[str, bytes] = (),
) -> Checked:
    """Proves the claims of a certificate again, from files alone: what ``verify check`` does.

    Args:
        certificate: a certificate, or the path of one.
        model: a model, or the path of one.
        files: the data and specification files that the claims name: paths, or bytes by name.

    Raises:
        NnverifyError: a file cannot be read. A claim that is not proved is no error: see ``refusal``.
    """
    from .model import Model, load

    if isinstance(certificate, (str, os.PathLike)):
        certificate = read_certificate(certificate)
    return certificate.check(model if isinstance(model, Model) else load(model), files)
