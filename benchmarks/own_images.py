"""The README's command on class folders, beside a plain CNN and random cells that get the same minutes.

    python benchmarks/own_images.py --set=digits --seed=0 --work=runs/own
    python benchmarks/own_images.py --set=photos_50 --photos=photos_10 --work=runs/own
    python benchmarks/own_images.py --set=cifar_5x100 --data_dir=TFDS --work=runs/own
    python benchmarks/own_images.py --table --work=runs/own

Three ways to a network for one set of images, each from class folders to a test accuracy:

  tf_edd     launch.quickstart with recipes/nb201_own_images.gin and recipes/nb201_retrain_own_images.gin
  plain_cnn  six convolutions of Keras as a user would write them, of as many parameters as tf_edd's network, on the
             same training images and augmentation; trained for as long as tf_edd took in all; the weights of its best
             epoch on 15 % of the training images count
  random     uniformly drawn cells, each trained by launch.retrain with the same recipe until tf_edd's minutes are over,
             at least one; the one that is best on its 15 % counts

Each writes WORK/SET/SEED/NAME.json, and one that is there is not run again: the command continues. Test images are read
once, at the end of each.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this program runs from a checkout, not installed

from benchmarks.own_images_sets import SETS, write_set  # noqa: E402

WAYS = ("tf_edd", "plain_cnn", "random")
_SET = flags.DEFINE_enum("set", "digits", sorted(SETS), "Which images.")
_SEED = flags.DEFINE_integer("seed", 0, "Of everything; the images of a set are drawn with seed 0.")
_WORK = flags.DEFINE_string("work", "runs/own_images", "Where everything is written.")
_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photographs, train/CLASS and test/CLASS, for photos*.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder with CIFAR-10, for cifar*.")
_WAYS = flags.DEFINE_list("ways", list(WAYS), "What to run.")
_PARAM = flags.DEFINE_multi_string("gin_param", [], "More bindings for tf_edd, such as epochs=10.")
_TABLE = flags.DEFINE_bool("table", False, "Only show what is there.")


def main(_):
    """Runs what is not there yet, and shows the table."""
    work = Path(_WORK.value)
    if not _TABLE.value:
        images = write_set(_SET.value, work / "images", _PHOTOS.value, _DATA_DIR.value)
        run_all(images, SETS[_SET.value].image_size, work / _SET.value / str(_SEED.value))
    print(table(work))


def run_all(images: Path, image_size: tuple[int, int], folder: Path) -> None:
    """The three ways, in their order: the later ones get the minutes of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    run = {"tf_edd": search_and_retrain, "plain_cnn": plain_cnn, "random": random_cells}
    for way in _WAYS.value:
        result = folder / f"{way}.json"
        if not result.is_file():
            found = run[way](images, image_size, folder)
            result.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def data_arguments(images: Path, image_size: tuple[int, int]) -> list[str]:
    """Gin of the images; digits and the like must not be flipped."""
    arguments = ["--gin_file=datasets/image_folder.gin", f"--gin_param=ImageFolder.directory = '{images.resolve()}'"]
    arguments += [f"--gin_param=ImageFolder.image_size = {image_size}", f"--seed={_SEED.value}"]
    if not SETS[_SET.value].flip:
        arguments.append("--gin_param=augmentation = (@Crop(),)")
    return arguments


def program(name: str, *arguments: str) -> float:
    """Runs a program of tf_edd from the checkout; returns its seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"launch.{name}", *arguments], cwd=ROOT, check=True)
    return time.perf_counter() - began


def search_and_retrain(images: Path, image_size, folder: Path) -> dict:
    """The README's command."""
    files = ["recipes/nb201_own_images.gin", "methods/edd_darts.gin", "recipes/nb201_retrain_own_images.gin"]
    model_dir = (folder / "tf_edd").resolve()
    more = [f"--gin_param={binding}" for binding in _PARAM.value]
    arguments = [*(f"--gin_file={name}" for name in files), *data_arguments(images, image_size), *more]
    program("quickstart", *arguments, f"--model_dir={model_dir}")
    search, retrain = (read(model_dir / phase / "results.json") for phase in ("search", "retrain"))
    return {
        "accuracy": retrain["best"]["accuracy/test"],
        "parameters": retrain["parameters"],
        "seconds": search["seconds"] + retrain["seconds"],  # without loading and tracing, over all interruptions
        "search_seconds": search["seconds"],
        "genotype": retrain["genotype"],
        "verdict": search.get("verdict"),
    }


def random_cells(images: Path, image_size, folder: Path) -> dict:
    """Random cells until the minutes are over; the best on held-out images."""
    from benchmarks.random_cells import random_cells as drawn
    from tf_edd.spaces import nas_bench_201

    limit, cells, spent, trained = read(folder / "tf_edd.json")["seconds"], drawn(nas_bench_201(), _SEED.value), 0.0, []
    while not trained or spent + spent / len(trained) <= limit:
        genotype = next(cells)
        model_dir = (folder / f"random_{len(trained)}").resolve()
        given = [f"--genotype={genotype}", f"--model_dir={model_dir}"]
        program(
            "retrain",
            "--gin_file=recipes/nb201_retrain_own_images.gin",
            *data_arguments(images, image_size),
            *(f"--gin_param={binding}" for binding in _PARAM.value if binding.startswith("retrain")),
            *given,
        )
        found = read(model_dir / "retrain" / "results.json")
        trained.append({"genotype": str(genotype), "best": found["best"], "parameters": found["parameters"]})
        spent += found["seconds"]
    best = max(trained, key=lambda row: row["best"]["accuracy/valid"])
    return {
        "accuracy": best["best"]["accuracy/test"],
        "parameters": best["parameters"],
        "seconds": spent,
        "genotype": best["genotype"],
        "cells": len(trained),
    }


def plain_cnn(images: Path, image_size, folder: Path) -> dict:
    """A CNN of as many parameters, trained for as many seconds."""
    from benchmarks.own_images_cnn import train

    found = read(folder / "tf_edd.json")
    sizes = {"parameters": found["parameters"], "seconds": found["seconds"], "image_size": image_size}
    return train(images, **sizes, seed=_SEED.value, flip=SETS[_SET.value].flip)


def table(work: Path) -> str:
    """All results, mean and sample standard deviation over the seeds, in percent of the test images."""
    lines = ["| Images | " + " | ".join(WAYS) + " | seeds |", "|---|" + "---|" * (len(WAYS) + 1)]
    for name in SETS:
        cells, counts = [], set()
        for way in WAYS:
            values = [100 * read(path)["accuracy"] for path in sorted((work / name).glob(f"*/{way}.json"))]
            counts.add(len(values))
            spread = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}" if values else "")
        if any(cells):
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {'/'.join(map(str, sorted(counts)))} |")
    return "\n".join(lines)


def read(path: Path) -> dict:
    """A JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    app.run(main)
