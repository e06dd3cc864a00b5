"""What a training shows: lines, JSON lines, and the live view of a terminal."""

from __future__ import annotations

import io
import json

from rich.console import Console

from tufa_cli.cli.train_view import _State, json_line, line
from tufa_cli.training.progress import Progress

STEP = Progress("step", 50, 100, 1.25, 0.5, 128.0, 0.02)
SCORES = Progress("validation", 50, 100, nme_percent={"300w/ibug68": 4.5})


def test_lines_go_to_stderr_and_the_path_to_stdout(capsys):
    for progress in (STEP, SCORES, Progress("done", 100, 100, path="run/final.pt")):
        line(progress)
    seen = capsys.readouterr()
    assert "step 50/100  loss 1.250  0.500 s/step  waiting 2%  0 min left" in seen.err
    assert "300w/ibug68 4.50" in seen.err
    assert seen.out == "run/final.pt\n"


def test_json_lines_hold_numbers_only(capsys):
    json_line(STEP)
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "kind": "step",
        "step": 50,
        "steps": 100,
        "loss": 1.25,
        "seconds_per_step": 0.5,
        "faces_per_second": 128.0,
        "wait_share": 0.02,
    }


def test_the_live_view_shows_rate_scores_and_the_best():
    state = _State()
    better = Progress("validation", 100, 100, nme_percent={"300w/ibug68": 4.75})
    for progress in (STEP, SCORES, Progress("saved", 50, 100), better):
        state.add(progress)
    state.add(Progress("remark", 50, 100, text="torch.compile does not work here"))
    console = Console(width=120, file=io.StringIO())
    console.print(state.render())
    text = console.file.getvalue()
    for words in ("128 faces/s", "waiting for data 2%", "4.75", "4.50", "saved at 50", "compile"):
        assert words in text
