"""What becomes of an experiment, look by look."""

import pytest

from fashionboard.board.life import LOOKS, Life, Sign, State

WORKS = Sign("running", works=lambda: True)
IDLE = Sign("running")
YOUNG = Sign("running", young=True)
GONE = Sign(None, copy=False)
SAME = Sign("finished", result=True, copy=False)
NEW = Sign("finished", result=True, new=True, copy=False)


@pytest.mark.parametrize(
    ("looks", "becomes"),
    [
        # it works, whatever DVC has noted, and is idle for a look or two
        ([WORKS], "running"),
        ([WORKS, *[IDLE] * (LOOKS - 1)], "running"),
        ([WORKS, *[IDLE] * (LOOKS - 1), WORKS, *[IDLE] * (LOOKS - 1)], "running"),
        ([Sign(None, works=lambda: True)], "running"),
        # its process has not begun yet
        ([YOUNG] * 9, "running"),
        # it has a result, which counts once DVC works in the copy no more
        ([WORKS, NEW], "experiment"),
        ([WORKS, Sign("running", result=True, new=True, copy=False)], "experiment"),
        ([WORKS, Sign("finished", result=True, new=True)], "experiment"),
        ([WORKS, Sign("running", result=True, new=True, works=lambda: True)], "running"),
        # the same commit as before: only when DVC says that it has finished, and the copy is gone
        ([WORKS, SAME], "experiment"),
        ([WORKS, Sign("finished", result=True, works=lambda: True)], "running"),
        ([WORKS, Sign(None, result=True, copy=False)], "running"),
        # DVC says so itself
        ([WORKS, Sign("failed")], "failed"),
        ([WORKS, Sign("killed", copy=False)], "killed"),
        ([WORKS, Sign("failed", result=True, new=True)], "experiment"),
        # nobody is there any more
        ([WORKS, *[IDLE] * LOOKS], "killed"),
        ([WORKS, *[GONE] * LOOKS], "failed"),
        ([WORKS, *[GONE] * (LOOKS - 1)], "running"),
        # and nobody was when the board was opened
        ([IDLE], "killed"),
        ([GONE] * LOOKS, "failed"),
        # what is over stays so
        ([WORKS, Sign("failed"), NEW], "failed"),
        ([WORKS, NEW, *[GONE] * LOOKS], "experiment"),
    ],
)
def test_what_becomes_of_an_experiment(looks: list[Sign], becomes: State) -> None:
    life = Life()
    for sign in looks:
        life.look(sign)
    assert life.state == becomes
