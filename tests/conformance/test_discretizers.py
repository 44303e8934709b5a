"""Discretizers: genotypes of the space, from the weights alone."""

import json

import numpy as np
import pytest
from conformance.rows import DISCRETIZERS, SPACES

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError

BUILT = {row.name: row.build() for row in SPACES}
PAIRS = [(row, name) for row in DISCRETIZERS for name, space in BUILT.items() if row.suits(space)]
OTHERS = [(row, name) for row in DISCRETIZERS for name, space in BUILT.items() if not row.suits(space)]


def on_every_space_that_suits(test):
    """Runs a test for every discretizer and every space that it takes."""
    names = [f"{row.name}-{name}" for row, name in PAIRS]
    return pytest.mark.parametrize("row, space", [(row, BUILT[name]) for row, name in PAIRS], ids=names)(test)


def random_probs(space, seed=0):
    generator = np.random.default_rng(seed)
    return {
        cell_type: generator.dirichlet(np.ones(o), size=e).astype(np.float32)
        for cell_type, (e, o) in space.logit_shapes.items()
    }


@on_every_space_that_suits
def test_genotypes_belong_to_the_space(row, space):
    for seed in range(20):
        genotype = row.build()(random_probs(space, seed), space)
        assert genotype.check(space) is genotype
        assert all(genotype.count(primitive) == 0 for cell in space.cells for primitive in cell.excluded)


@on_every_space_that_suits
def test_genotypes_do_not_change_under_monotone_scaling_where_only_the_order_matters(row, space):
    probs, discretizer = random_probs(space), row.build()
    scaled = [
        {cell_type: scaling(table.astype(np.float64)) for cell_type, table in probs.items()}
        for scaling in (lambda p: 3 * p, lambda p: p**3, np.sqrt, lambda p: np.log(p + 1))
    ]
    genotypes = {discretizer(tables, space) for tables in (probs, *scaled)}
    assert (len(genotypes) == 1) == row.monotone


@on_every_space_that_suits
def test_genotypes_survive_json(row, space):
    genotype = row.build()(random_probs(space), space)
    assert Genotype.from_json(json.loads(json.dumps(genotype.to_json()))) == genotype


@on_every_space_that_suits
def test_discretizers_leave_their_input_alone(row, space):
    probs = random_probs(space)
    copies = {cell_type: table.copy() for cell_type, table in probs.items()}
    row.build()(probs, space)
    assert all(np.array_equal(probs[cell_type], copies[cell_type]) for cell_type in probs)


@pytest.mark.parametrize("row, name", OTHERS, ids=[f"{row.name}-{name}" for row, name in OTHERS])
def test_other_spaces_are_refused(row, name):
    with pytest.raises(UserError, match="Received"):
        row.build()(random_probs(BUILT[name]), BUILT[name])
