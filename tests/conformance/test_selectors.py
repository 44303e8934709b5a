"""Selectors: the best of what they ask for, and the seed decides what that is."""

from conformance.rows import SELECTORS, each, on_every_space

from tf_edd import spaces


def skips(genotype):
    return float(genotype.count("skip_connect"))


@each(SELECTORS)
@on_every_space
def test_selectors_return_the_best_of_different_genotypes_of_the_space(row, space, tmp_path):
    asked = []
    chosen = row.build()(space, lambda g: asked.append(g) or skips(g), seed=0, log_path=tmp_path / "log.jsonl")
    assert chosen.check(space) in asked and skips(chosen) == max(map(skips, asked))
    assert len(set(asked)) == len(asked) > 1
    assert all(genotype.check(space) for genotype in asked)


@each(SELECTORS)
def test_the_seed_decides_what_selectors_ask(row, tmp_path):
    space, asked, selector = spaces.nas_bench_201(), {}, row.build()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        asked[name] = []
        fitness = lambda g, n=name: asked[n].append(g) or skips(g)  # noqa: E731
        selector(space, fitness, seed=seed, log_path=tmp_path / name)
    assert asked["a"] == asked["b"] != asked["c"]


@each(SELECTORS)
def test_a_prepared_selector_is_another_one_for_this_search(row):
    selector = row.build()
    prepared = selector.prepare(spaces.nas_bench_201(4, 1), (8, 8, 3), 10, seed=0)
    assert selector == row.build() and prepared.recalibration_batches == selector.recalibration_batches
