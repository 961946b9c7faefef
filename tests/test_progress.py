"""The progress bar: what it says on a terminal, and that it is silent elsewhere."""

import io

import pytest

from facezoo.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drawn(file, first_step=0, last_step=6):
    """Three epochs of two steps with eight images each, in two stages."""
    bar = Progress("Trainer", [("margin", 2), ("triplet", 1)], file)
    bar.set_params({"steps": 6, "epochs": 3, "batch_size": 8, "first_step": first_step})
    bar.on_train_begin()
    for step in range(first_step, last_step):
        if step % 2 == 0 or step == first_step:
            bar.on_epoch_begin(step // 2)
        bar.on_train_batch_end(step, {"loss": 1.0 / (step + 1)})
    return bar


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_it_says_stage_epoch_loss_speed_and_time_left(terminal):
    bar = drawn(terminal, last_step=5)
    bar._bar.refresh()
    line = terminal.getvalue().split("\r")[-1]
    assert "Trainer, triplet, epoch 3 of 3:  83%" in line and "40/48 [" in line
    assert "images/s" in line and "<00:0" in line and "loss 0.2]" in line


def test_a_resumed_training_goes_on_where_it_was(terminal):
    bar = drawn(terminal, first_step=3, last_step=4)
    bar._bar.refresh()
    line = terminal.getvalue().split("\r")[-1]
    assert "Trainer, margin, epoch 2 of 3:  67%" in line and "32/48 [" in line


def test_it_clears_its_line_in_the_end(terminal):
    drawn(terminal).on_train_end()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_it_is_silent_without_a_terminal():
    file = io.StringIO()
    drawn(file).on_train_end()
    assert file.getvalue() == ""
