"""What the vote prints; the vote itself is tested with `tf_edd.search.vote`."""

from launch.vote import describe


def test_a_line_for_each_edge():
    edges = [{"from": 0, "to": 1, "votes": {"nor_conv_3x3": 2, "none": 1}}, {"from": 0, "to": 2, "votes": {"none": 3}}]
    assert describe({"cell": edges}) == "cell  0 -> 1  nor_conv_3x3 2, none 1\ncell  0 -> 2  none 3"
