"""The gate: a policy applied, as ``verify gate`` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _core
from .results import framed

if TYPE_CHECKING:
    import pandas as pd

    from . import arrays


@dataclass(frozen=True)
class Rule:
    """What became of one rule."""

    id: str
    #: ``met``, ``violated``, ``inconclusive``, ``refused`` or ``error``.
    status: str
    #: What is limited, the limit, and the established value, in words.
    what: str
    limit: str
    value: str | None
    detail: str | None
    #: The code that explains a status other than ``met``.
    code: str | None
    #: Line of the policy.
    line: int

    def __str__(self) -> str:
        told = f"{self.id} (line {self.line}): {self.status}: {self.what}: {self.value or 'nothing'}, limit {self.limit}"
        return told + (f"; {self.detail}" if self.detail else "") + (f" [{self.code}]" if self.code else "")


@dataclass(frozen=True)
class GateResult:
    """What a policy came to. It has no truth value: ask for ``status``."""

    #: ``met``, ``violated``, ``inconclusive``, ``refused`` or ``error``: the exit codes 0, 1, 3, 4 and 2.
    status: str
    rules: tuple[Rule, ...]
    #: The whole audit, by the names of ``verify schema report``.
    audit: Mapping[str, Any] = field(repr=False, compare=False)
    #: Whether an interrupt left rules open.
    interrupted: bool
    _gate: _core.Gate = field(repr=False, compare=False)

    def __bool__(self) -> bool:
        raise TypeError("a gate has no truth value: ask for `.status`")

    def report(self, path: arrays.Path) -> None:
        """Writes the report in the format of the path's name: .html, .md, .json, .sarif, .xml (JUnit), .intoto.json or .txt.

        Raises:
            NnverifyError: the name asks for no format, or the file cannot be written.
        """
        self._gate.report(path)

    def _repr_html_(self) -> str:
        return framed(self._gate.cards())

    def to_pandas(self) -> pd.DataFrame:
        """Returns one row for each rule."""
        import pandas as pd

        return pd.DataFrame([vars(rule) for rule in self.rules], columns=list(Rule.__dataclass_fields__))


def gate(
    policy: arrays.Path | None = None,
    *,
    fresh: bool = False,
    check_only: bool = False,
    allow_outside: bool = False,
) -> GateResult:
    """Applies a policy to its models, and keeps certificates where the policy says.

    Args:
        policy: the file; by default the nearest ``verify.toml`` upwards from the current folder.
        fresh: searches again even where a certificate at hand answers a rule.
        check_only: searches for nothing.
        allow_outside: lets the policy name files outside its folder and behind links.

    Raises:
        NnverifyError: there is no policy, or it cannot be used. A rule that is not met is no error: see ``rules``.
    """
    found, interrupted = _core.gate(policy, fresh, check_only, allow_outside)
    audit = json.loads(found.json())
    names = Rule.__dataclass_fields__
    rules = tuple(Rule(**{name: rule[name] for name in names}) for rule in audit["policy"]["rules"])
    return GateResult(audit["verdict"]["status"], rules, audit, interrupted, found)
