"""Whatever happens to the files, each line is saved once: requirement R1, on three file systems."""
import pytest

from support.log_cases import CASES


def parameters():
    return [pytest.param(case, marks=[pytest.mark.alone] if case.is_exact else [], id=case.name)
            for case in CASES.values() if case.name != "killed_in_mid_stream"]


@pytest.mark.parametrize("case", parameters())
def test_each_line_is_saved_once(saver, directory, case):
    saver.expect_exact(case, directory, saver.file())


def test_lines_of_one_file_keep_their_order(saver, directory):
    case = CASES["renamed_by_logrotate"]
    target = saver.file()
    saver.expect_exact(case, directory, target)
    lines = target.lines()
    # All have equal width and begin with their number.
    assert lines == sorted(lines)
