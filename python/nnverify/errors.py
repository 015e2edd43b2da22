"""Errors, each with the code that ``verify explain`` explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from .results import Result

USAGE = "NV001"
DATA = "NV202"


class NnverifyError(Exception):
    """What was asked has no answer: the model, the data or the question is at fault, or nothing could be found.

    Attributes:
        code: such as ``"NV202"``; :func:`explain` and ``verify explain CODE`` say what it means and what to do.
        message: what is wrong, in the words of the command line: ``--samples`` is what this package calls ``samples``.
        hint: the remedy, where the message does not say it.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.message} [{self.code}]{hint}"


class Interrupted(KeyboardInterrupt):
    """An interrupt ended the search; ``result`` holds what had been found and proved until then."""

    def __init__(self, result: Result) -> None:
        super().__init__("interrupted; `result` of this exception holds what was found until then")
        self.result = result


def explain(code: str) -> str:
    """Returns what a code means and what to do, as ``verify explain`` prints it.

    Raises:
        NnverifyError: there is no such code.
    """
    found = _core.explain(code)
    if found is None:
        raise NnverifyError(USAGE, f"there is no code `{code}`")
    title, explanation, remedy = found
    return f"{code.upper()}: {title}\n\n{explanation}\n\n{remedy}\n"
