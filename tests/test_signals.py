"""The first signal is raised or waits until it is asked for; the second one ends the process."""
import os
import signal
import subprocess
import sys
import threading

import pytest
from helpers.programs import ROOT

from mxmp.signals import Interrupted, Signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def restored():
    """What the signals did before a test, they do after its blocks, too."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_at_once(number):
    with pytest.raises(Interrupted, match=number.name) as raised, Signals():
        send(number)
        pytest.fail("went on")
    assert raised.value.number == number and isinstance(raised.value, KeyboardInterrupt)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_held_waits_until_it_is_asked_for(number):
    with Signals(held=True) as signals:
        signals.check()
        send(number)
        assert signals.number == number
        with pytest.raises(Interrupted):
            signals.check()


@pytest.mark.parametrize("before", [True, False])
def test_a_signal_that_is_released_is_raised_inside_whenever_it_came(before):
    reached = []
    with Signals(held=True) as signals:
        if before:
            send(signal.SIGTERM)
        with pytest.raises(Interrupted), signals.released():
            reached.append("inside")
            send(signal.SIGTERM)
            reached.append("behind")
    assert reached == [] if before else reached == ["inside"]


def test_after_a_release_signals_are_held_again():
    with Signals(held=True) as signals:
        with signals.released():
            pass
        send(signal.SIGINT)
        assert signals.number == signal.SIGINT


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            send(signal.SIGHUP)
        assert signals.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_the_signals_alone():
    seen = []

    def work():
        with Signals():
            seen.append([signal.getsignal(number) for number in SIGNALS])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[signal.getsignal(number) for number in SIGNALS]]


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_ends_the_process(second):
    program = f"""
import os, signal
from mxmp.signals import Signals
with Signals(held=True) as signals:
    os.kill(os.getpid(), signal.SIGTERM)
    print("held", flush=True)
    os.kill(os.getpid(), {int(second)})
    print("went on")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (-second, "held\n")
