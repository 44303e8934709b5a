"""Lists the configurations that --gin_file takes, one line each: tf_edd list [--kind=methods]

  python -m launch.list
  python -m launch.list --kind=recipes

A search needs a recipe, a data set and a method; some recipes name all of them. Each line is a file and the
first sentence of the comment at its head. The files lie in the installed package `gin_configs`.
"""

import textwrap
from pathlib import Path

from absl import flags

import gin_configs
from launch.common import launch

FLAGS = flags.FLAGS
KINDS = ("recipes", "methods", "datasets", "spaces", "selectors", "tables", "actions", "papers")
LONGEST = 100  # characters of a sentence


def define_flags() -> None:
    """Defines the flags of this program; at its start, so that an import leaves the flags of others alone."""
    flags.DEFINE_multi_enum("kind", [], KINDS, "Which folder; may be repeated. All but the rows of papers by default.")


def describe(kinds: tuple[str, ...] | list[str] = KINDS[:-1]) -> str:
    """The text that this program prints: the files of each kind with their first sentence."""
    root = Path(gin_configs.__file__).parent
    found = {kind: sorted(path.relative_to(root) for path in (root / kind).rglob("*.gin")) for kind in kinds}
    width = max(len(str(path)) for paths in found.values() for path in paths)
    blocks = (
        "\n".join(f"{str(path):<{width}}  {head(root / path)}".rstrip() for path in paths) for paths in found.values()
    )
    return "\n\n".join(blocks)


def head(path: Path) -> str:
    """The first sentence of the comment at the head of a gin file."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return textwrap.shorten(" ".join(lines).split(". ")[0].rstrip("."), LONGEST, placeholder=" ...")


def main() -> None:
    """Prints the list."""
    print(describe(FLAGS.kind or KINDS[:-1]))


def run() -> None:
    """Runs the program."""
    define_flags()
    launch(main)


if __name__ == "__main__":
    run()
