"""Ctrl-C waits where it must, and is not lost."""

import signal
import threading

import pytest

from sk_mtl._compat.interrupts import interrupts_deferred


@pytest.fixture(autouse=True)
def heeds_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_until_the_block_has_ended():
    steps = []

    @interrupts_deferred()
    def run():
        signal.raise_signal(signal.SIGINT)
        steps.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_error_of_the_block_passes_through():
    with pytest.raises(ZeroDivisionError), interrupts_deferred():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_and_ignored_interrupts_are_left_alone():
    seen = []

    @interrupts_deferred()
    def look():
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    look()
    assert seen == [signal.default_int_handler, signal.SIG_IGN]
