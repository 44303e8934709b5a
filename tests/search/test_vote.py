"""The vote of several searches, on searches written by hand."""

import pytest

from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.search.vote import vote, votes
from tf_edd.spaces import darts, nas_bench_201, space_to_json
from tf_edd.training.searched import find_genotype, searched_space

SPACE = nas_bench_201(4, 1)
NAMES = SPACE.cell("cell").edges[0].primitives
NONE, SKIP, CONV1, CONV3, POOL = range(5)


def cell(choices) -> str:
    names = [NAMES[choice] for choice in choices]
    return "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)


def finished(folder, choices, weights=None, space=SPACE, **results):
    """A finished search: each edge has this probability for its choice, and shares the rest evenly."""
    weights = weights or [0.96] * 6
    probs = [
        [weight if i == choice else (1 - weight) / 4 for i in range(5)]
        for choice, weight in zip(choices, weights, strict=True)
    ]
    search = folder / "search"
    search.mkdir(parents=True)
    files.write_json(search / "space.json", space_to_json(space))
    files.write_json(search / "record.json", {"seed": 7})
    files.write_json(search / "results.json", {"genotype": cell(choices), **results})
    rows = [{"epoch": 1, "genotype": cell(choices), "probs": {"cell": probs}}]
    if "verdict" in results:  # a later epoch that does not count
        rows.append({"epoch": 2, "genotype": cell([SKIP] * 6), "probs": {"cell": [[0, 1, 0, 0, 0]] * 6}})
    files.write_lines(search / "genotypes.jsonl", rows)
    return folder


FIRST, SECOND, THIRD = ([CONV3] * 6, [CONV3, SKIP, CONV1, SKIP, CONV3, POOL], [CONV3, NONE, CONV1, SKIP, CONV1, CONV3])


def three(tmp_path):
    return [finished(tmp_path / name, choices) for name, choices in (("a", FIRST), ("b", SECOND), ("c", THIRD))]


def test_the_cell_with_which_the_others_agree_most_wins(tmp_path):
    """Edges on which two agree: a has three of them (0, 4 and 5), b has four (0, 2, 3 and 4), c four (0, 2, 3 and 5).

    Between b and c the product decides; c is surer of its own, sixth edge.
    """
    b, c = [0.96] * 6, [0.96] * 5 + [0.99]
    searches = [finished(tmp_path / n, x, w) for n, x, w in (("a", FIRST, b), ("b", SECOND, b), ("c", THIRD, c))]
    result = vote(tmp_path / "vote", searches)
    assert str(result.genotype) == cell(THIRD)
    written = files.read_json(result.folder / "results.json")
    assert written["genotype"] == cell(THIRD) and [row["seed"] for row in written["searches"]] == [7] * 3
    assert written["votes"]["cell"][0] == {"from": 0, "to": 1, "votes": {"nor_conv_3x3": 3}}
    assert written["votes"]["cell"][2] == {"from": 1, "to": 2, "votes": {"nor_conv_1x1": 2, "nor_conv_3x3": 1}}
    assert written["probs"]["cell"][5][CONV3] == pytest.approx((0.96 + 0.01 + 0.99) / 3, abs=1e-6)
    assert (result.folder / "cell.png").stat().st_size > 5000


def test_a_retraining_in_its_folder_takes_the_voted_cell(tmp_path):
    vote(tmp_path / "vote", three(tmp_path))
    assert searched_space(tmp_path / "vote") == SPACE
    assert find_genotype(None, tmp_path / "vote", SPACE) == from_text(
        files.read_json(tmp_path / "vote/search/results.json")["genotype"], SPACE
    )


def test_the_epoch_of_a_verdict_counts(tmp_path):
    verdict = {"epoch": 1, "reason": "the later cells have collapsed"}
    searches = [finished(tmp_path / name, FIRST, verdict=verdict) for name in "ab"]
    assert str(vote(tmp_path / "vote", searches).genotype) == cell(FIRST)


def test_a_vote_is_kept_and_made_anew_on_request(tmp_path):
    searches = three(tmp_path)
    vote(tmp_path / "vote", searches)
    with pytest.raises(UserError, match="finished"):
        vote(tmp_path / "vote", searches)
    assert vote(tmp_path / "vote", searches[1:], overwrite=True).genotype.count("nor_conv_1x1") >= 1


def test_ways_of_skip_connections_are_not_mixed(tmp_path):
    """0 -> 3 in two of three cells by different ways: an edge by edge majority would have no skip connection at all."""
    ways = (
        [CONV3, SKIP, CONV3, CONV3, CONV3, SKIP],
        [SKIP, CONV3, CONV3, CONV3, SKIP, CONV3],
        [CONV3] * 3 + [SKIP, CONV3, CONV3],
    )
    searches = [finished(tmp_path / str(number), choices) for number, choices in enumerate(ways)]
    assert vote(tmp_path / "vote", searches).genotype.count("skip_connect") > 0


def test_what_cannot_vote_is_named(tmp_path):
    searches = three(tmp_path)
    with pytest.raises(UserError, match="at least two searches. Received: 1"):
        vote(tmp_path / "vote", searches[:1])
    (searches[1] / "search/results.json").unlink()
    with pytest.raises(UserError, match=f"finished search. Received: {searches[1]}"):
        vote(tmp_path / "vote", searches)
    other = finished(tmp_path / "other", FIRST, space=nas_bench_201(8, 1))
    with pytest.raises(UserError, match=r"one space, of one size. Received: .*/a and .*/other"):
        vote(tmp_path / "vote", [searches[0], other])
    files.write_lines(searches[2] / "search/genotypes.jsonl", [{"epoch": 1, "genotype": cell(THIRD)}])
    with pytest.raises(UserError, match="keeps its probabilities"):
        vote(tmp_path / "vote", [searches[0], searches[2]])
    assert not (tmp_path / "vote").exists()


def test_cells_with_two_edges_a_node_are_counted_by_source():
    space = darts(init_channels=4, num_cells=3)
    node = (("skip_connect", 0), ("sep_conv_3x3", 1))
    nodes = (node, (("skip_connect", 0), ("sep_conv_3x3", 2)), node, node)

    text = str(Genotype("darts", (("normal", nodes), ("reduce", nodes))).check(space))
    found = votes([text, text], space)["normal"]
    assert found[0] == {"from": 0, "to": 2, "votes": {"skip_connect": 2}}
    assert {"from": 2, "to": 3, "votes": {"sep_conv_3x3": 2}} in found and len(found) == 8
