"""How scripts end."""
import pytest

from mxmp import command


def failing(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error", [ValueError("--x is 3"), RuntimeError("--x is 3"), OSError("--x is 3")])
def test_a_mistake_ends_the_script_with_its_name_and_the_message(monkeypatch, error):
    monkeypatch.setattr("sys.argv", ["folder/train.py"])
    with pytest.raises(SystemExit) as ended:
        command.run(failing(error))
    assert ended.value.code == "train.py: error: --x is 3"


def test_ctrl_c_says_how_to_go_on():
    with pytest.raises(SystemExit) as ended:
        command.run(failing(KeyboardInterrupt()), "go on with --resume")
    assert ended.value.code == "go on with --resume"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(TypeError, match="a bug"):
        command.run(failing(TypeError("a bug")))
