"""Cells that lead nowhere."""

import pytest

from tf_edd.architectures.connected import dead_end
from tf_edd.architectures.genotype import from_text
from tf_edd.spaces import nas_bench_201


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "cell"),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|", "cell"),
        ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|skip_connect~1|skip_connect~2|", "cell"),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", None),
        ("|nor_conv_1x1~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|", None),
    ],
)
def test_a_way_that_avoids_none_is_needed(text, expected):
    space = nas_bench_201()
    assert dead_end(from_text(text, space), space) == expected
