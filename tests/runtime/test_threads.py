"""tf_edd.runtime.threads: the numbers of threads that a deterministic run depends on."""

import os

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import strategy, threads
from tf_edd.runtime.model_dir import open_model_dir


@pytest.fixture
def threading(monkeypatch):
    """TensorFlow's numbers, which a process can set only once: 0 stands for its own choice."""
    numbers = {"intra": 0, "inter": 0}

    class Threading:
        get_intra_op_parallelism_threads = staticmethod(lambda: numbers["intra"])
        get_inter_op_parallelism_threads = staticmethod(lambda: numbers["inter"])
        set_intra_op_parallelism_threads = staticmethod(lambda number: numbers.update(intra=number))
        set_inter_op_parallelism_threads = staticmethod(lambda number: numbers.update(inter=number))

    monkeypatch.setattr(threads.tf.config, "threading", Threading)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return numbers


def test_without_a_choice_every_processor_counts(threading, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert threads.numbers() == {"intra_op_threads": 3, "inter_op_threads": 3}
    threads.fix()
    assert threading == {"intra": 3, "inter": 3}


def test_the_environment_and_what_was_set_come_first(threading, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "many")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert threads.numbers() == {"intra_op_threads": 5, "inter_op_threads": 2}
    threading["intra"] = 7
    assert threads.numbers()["intra_op_threads"] == 7


def test_a_process_that_has_computed_keeps_its_numbers(monkeypatch):
    strategy.current()  # TensorFlow has been used
    before = threads.numbers()
    threads.fix()
    assert threads.numbers() == before


def test_a_deterministic_run_is_continued_with_as_many_threads_only(threading, tmp_path):
    def record(deterministic, number):
        threading["intra"] = threading["inter"] = number
        return strategy.Runtime(None, deterministic=deterministic).record()

    assert not any("threads" in name for name in record(False, 2))
    open_model_dir(tmp_path, "search", record(True, 2))
    with pytest.raises(UserError) as refusal:
        open_model_dir(tmp_path, "search", record(True, 4))
    lines = str(refusal.value).splitlines()
    assert "  intra_op_threads: started with 2, received 4" in lines
    assert lines[-1].endswith("TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS set the numbers of threads")
    with pytest.raises(UserError) as refusal:
        open_model_dir(tmp_path, "search", {**record(True, 2), "seed": 1})
    assert "TF_NUM" not in str(refusal.value)
