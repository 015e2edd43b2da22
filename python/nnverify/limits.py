"""What an answer may cost, and how progress is shown."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _core
from .errors import USAGE, NnverifyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import TypedDict

    class Limits(TypedDict, total=False):
        """What every question takes: time of the search in seconds, memory in bytes, the seed of everything random, and
        whether a bar is shown (by default on a terminal, where ``tqdm`` is installed)."""

        timeout: float | None
        memory: int
        seed: int
        progress: bool | None


NAMES = {"timeout", "memory", "seed", "progress"}
MEMORY = 3_000_000_000
Told = Callable[[str, int, int], None]


def limits_json(limits: Limits, journal: str | None = None) -> str:
    """Returns limits as the library reads them."""
    given: dict[str, Any] = dict(limits)
    unknown = set(given) - NAMES
    if unknown:
        raise TypeError(f"unknown arguments: {', '.join(sorted(unknown))}; limits are {', '.join(sorted(NAMES))}")
    timeout = given.get("timeout")
    time = None
    if timeout is not None:
        if not (math.isfinite(timeout) and timeout >= 0):
            raise NnverifyError(USAGE, f"`timeout={timeout!r}`: seconds from 0 up")
        seconds = int(timeout)
        time = {"secs": seconds, "nanos": int((timeout - seconds) * 1e9)}
    memory, seed = given.get("memory", MEMORY), given.get("seed", 0)
    return json.dumps({"time": time, "memory": memory, "seed": seed, "journal": journal})


@contextmanager
def progress_bar(wanted: bool | None) -> Iterator[Told | None]:
    """Shows a bar while the body runs: where it is wanted, or, where that is not said, on a terminal with ``tqdm``."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield None
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        if wanted:
            raise
        yield None
        return
    with tqdm(unit="sample", leave=False) as bar:

        def told(step: str, finished: int, of: int) -> None:
            if step:
                bar.set_description(step, refresh=False)
            if of:
                bar.total = of
            bar.n = finished
            bar.refresh()

        yield told


def set_threads(count: int) -> None:
    """Sets how many threads searches and checks use (by default all cores), before the first question.

    Raises:
        NnverifyError: the threads are already running.
    """
    _core.set_threads(count)
