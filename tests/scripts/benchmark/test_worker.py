"""Workers as processes: how they answer, fail and end. No framework in them."""
import os
import subprocess
import sys
import time
from pathlib import Path

import benchmark
import pytest
from benchmark.worker import Worker

FOLDER = Path(benchmark.__file__).parent
WORKER = f"""
import os, sys, time
sys.path.insert(0, {str(FOLDER)!r})
from serving import measure_step, serve

def build(job):
    print("a library says hello")
    if job.get("broken"):
        raise ValueError("cannot\\nbuild")
    def fail():
        raise RuntimeError("out of luck")
    def half():
        return fail() if job["rank"] else time.sleep(60)
    steps = []
    def step():
        steps.append(1)
        return lambda: len(steps)
    return {{"job": lambda: job, "pid": lambda: {{"pid": os.getpid()}}, "fail": fail, "half": half,
            "exit": lambda: os._exit(3), "sleep": lambda: time.sleep(60),
            "measure": lambda: measure_step(step, dict, lambda: 0.25, 2)}}
serve(build)
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    return lambda job={}, **kwargs: Worker("quick", [sys.executable, str(tmp_path / "worker.py")], job, **kwargs)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_ended(pid):
    for _ in range(200):
        if not is_running(pid):
            return
        time.sleep(0.05)
    raise RuntimeError(f"process {pid} still runs")


def test_a_worker_answers_again_and_again(start):
    with start({"size": 3}) as worker:
        for _ in range(2):
            answer, = worker.ask("job")
            assert (answer["size"], answer["rank"]) == (3, 0)
            assert Path(answer["folder"]).is_dir()
    assert not Path(answer["folder"]).exists()


def test_several_processes_answer_in_the_order_of_their_ranks(start):
    with start(processes=3) as worker:
        answers = worker.ask("job")
    assert [answer["rank"] for answer in answers] == [0, 1, 2]
    assert len({answer["folder"] for answer in answers}) == 1


def test_a_measurement_times_the_last_step_only(start):
    with start() as worker:
        first, = worker.ask("measure")
        second, = worker.ask("measure")
    assert (first["loss"], second["loss"]) == (3, 6)  # the number of steps so far
    assert first["grad_squares"] == 0.25
    assert 0 <= first["seconds"] < 60 and first["peak_bytes"] > 2 ** 20


def test_environment_variables_reach_the_worker(start, tmp_path):
    script = "import os; from pathlib import Path; Path(os.environ['PROOF']).touch()"
    with pytest.raises(RuntimeError):
        Worker("quick", [sys.executable, "-c", script], {}, env={"PROOF": str(tmp_path / "proof")})
    assert (tmp_path / "proof").exists()


def test_an_error_is_one_line_with_the_workers_name(start):
    with pytest.raises(RuntimeError, match=r"^worker quick: ValueError: cannot build$"):
        start({"broken": True})
    with pytest.raises(RuntimeError, match=r"^worker quick: RuntimeError: out of luck$"), start() as worker:
        worker.ask("fail")


def test_the_process_that_failed_is_reported_while_another_still_works(start):
    with pytest.raises(RuntimeError, match=r"^worker quick: RuntimeError: out of luck$"), \
            start(processes=2) as worker:
        pids = [answer["pid"] for answer in worker.ask("pid")]
        worker.ask("half")
    assert not any(map(is_running, pids))


def test_a_silent_end_has_its_exit_status(start):
    message = r"^worker quick ended with exit status 3; its last words: a library says hello$"
    with pytest.raises(RuntimeError, match=message), start() as worker:
        worker.ask("exit")


def test_a_program_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="no-such-python"):
        Worker("quick", ["/no-such-python"], {})


def test_ctrl_c_ends_a_worker_that_is_busy(start):
    with pytest.raises(KeyboardInterrupt), start() as worker:
        pid = worker.ask("pid")[0]["pid"]
        raise KeyboardInterrupt
    assert not is_running(pid)


def test_a_worker_ends_with_the_program_that_started_it(start, tmp_path):
    program = f"""
import os, signal, sys, threading
from benchmark.worker import Worker
worker = Worker("quick", [sys.executable, {str(tmp_path / "worker.py")!r}], {{}})
print(worker.ask("pid")[0]["pid"], flush=True)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
worker.ask("sleep")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          cwd=FOLDER.parent, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == -9, done.stderr
    wait_until_ended(int(done.stdout))
