"""The look-up program: what it prints, and one clear error for what it cannot look up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch.query import describe
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.spaces import nas_bench_201

ROOT = Path(__file__).resolve().parents[2]
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
INDEX_11 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"


def values(text: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def test_prints_accuracies_and_sizes(nb201_table_path):
    printed = values(describe(nb201_table_path, "6111"))
    assert printed["cell"] == BEST and printed["index"] == "6111"
    assert printed["cifar10_test"] == "94.37 %" and printed["cifar10_valid"] == "91.61 %"


def test_sizes_of_the_benchmarks_record(nb201_table_path):
    printed = values(describe(nb201_table_path, INDEX_11))
    assert printed["index"] == "11"
    assert printed["parameters"] == "802,426" and printed["multiply_adds"] == "113,951,370"


def test_string_file_and_folder_print_the_same(nb201_table_path, tmp_path):
    genotype = from_text(BEST, nas_bench_201())
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(genotype.to_json()))
    by_index = describe(nb201_table_path, "6111")
    assert {describe(nb201_table_path, name) for name in (BEST, str(path), str(tmp_path))} == {by_index}


@pytest.mark.parametrize("name", ["15625", "nowhere.json", BEST[:-1], BEST.replace("nor", "sep")])
def test_refuses_what_is_no_cell(nb201_table_path, name):
    with pytest.raises(UserError, match="Received: "):
        describe(nb201_table_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("index, status", [("6111", 0), ("15625", 2)])
def test_program(nb201_table_path, index, status):
    command = [sys.executable, "-m", "launch.query", f"--table={nb201_table_path}", f"--genotype={index}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert run.returncode == status
    assert "Traceback" not in run.stderr
    if status:
        assert run.stderr.strip().splitlines()[-1].endswith("Received: 15625") and not run.stdout
    else:
        assert values(run.stdout)["cell"] == BEST
