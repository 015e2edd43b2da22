"""Rules of a policy as test cases: ``@pytest.mark.nnverify("verify.toml")`` on a test that takes ``rule``.

    @pytest.mark.nnverify("verify.toml")
    def test_policy(rule):
        assert rule.status == "met", rule

The policy is applied once, when its first rule is tested. One more case, ``the-whole-policy``, is the verdict on everything: it
counts what no rule's name stands for, such as pins.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .gates import GateResult, Rule

WHOLE = "the-whole-policy"
APPLIED = pytest.StashKey[dict[Path, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "nnverify(policy): the test's `rule` is each rule of the policy in turn")
    config.stash[APPLIED] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes a case of every rule."""
    marker = metafunc.definition.get_closest_marker("nnverify")
    if marker is None:
        return
    from . import _core

    (given,) = marker.args
    policy = Path(metafunc.config.rootpath, given)
    ids = [*_core.rules(policy), WHOLE]
    metafunc.parametrize("rule", [(policy, id) for id in ids], ids=ids, indirect=True)


@pytest.fixture
def rule(request: pytest.FixtureRequest) -> Rule:
    """What became of one rule of the marker's policy."""
    from .gates import Rule, gate

    if not hasattr(request, "param"):
        pytest.fail("`rule` needs `@pytest.mark.nnverify(POLICY)` on the test")
    policy, id = request.param
    applied = request.config.stash[APPLIED]
    if policy not in applied:
        applied[policy] = gate(policy)
    found: GateResult = applied[policy]
    if id == WHOLE:
        verdict = found.audit["verdict"]
        return Rule(WHOLE, found.status, verdict["title"], "every rule met", None, verdict["meaning"], None, 0)
    for one in found.rules:
        if one.id == id:
            return one
    pytest.fail(f"the gate does not tell of the rule `{id}`")
