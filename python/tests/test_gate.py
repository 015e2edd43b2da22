"""The gate, and its rules as test cases."""

from __future__ import annotations

import shutil

import nnverify
import pytest
from conftest import MODELS

POLICY = """
[models.digits]
path = "digits_relu.onnx"

[[models.digits.lipschitz]]
norm = "l2"
max-bound = {limit}
"""


@pytest.fixture
def policy(tmp_path):
    shutil.copy(MODELS / "digits_relu.onnx", tmp_path)

    def write(limit):
        path = tmp_path / "verify.toml"
        path.write_text(POLICY.format(limit=limit))
        return path

    return write


def test_a_policy_is_applied(policy, tmp_path):
    found = nnverify.gate(policy(17.0))
    assert found.status == "met" and [rule.status for rule in found.rules] == ["met"]
    found.report(tmp_path / "audit.html")
    assert "<iframe" in found._repr_html_() and len(found.to_pandas()) == 1
    found = nnverify.gate(policy(10.0))
    assert found.status == "violated" and found.rules[0].code == "NV601"
    with pytest.raises(TypeError):
        bool(found)


def test_a_policy_that_is_wrong(policy, tmp_path):
    with pytest.raises(nnverify.NnverifyError) as error:
        nnverify.gate(policy('"x"'))
    assert error.value.code == "NV403"
    with pytest.raises(nnverify.NnverifyError):
        nnverify.gate(tmp_path / "nowhere.toml")


def test_rules_are_test_cases(policy, pytester):
    path = policy(10.0)
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.nnverify({str(path)!r})
        def test_policy(rule):
            assert rule.status == "met", rule
        """
    )
    found = pytester.runpytest_subprocess()
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(["*test_policy?digits.*", "*NV601*"])
