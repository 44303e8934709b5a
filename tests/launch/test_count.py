"""The counting program: published sizes, both conventions, and one clear error for what it cannot count."""

import gin
import pytest

from launch.count import describe
from tf_edd.errors import UserError
from tf_edd.runtime import config
from tf_edd.search import parts  # noqa: F401 (for gin)

RETRAIN = ["retrain.space = @retrain/darts()", "retrain/darts.init_channels = 36", "retrain/darts.num_cells = 20"]


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def rows(text):
    *text, convention = text.splitlines()
    assert convention.startswith("Multiply-adds: those of convolutions and of the linear layer, none of batch norm")
    return {title.strip(): value.strip() for title, value in (line.split("  ", 1) for line in text)}


def test_search_and_final_size():
    config.parse(["spaces/darts.gin"], RETRAIN)
    table = rows(describe("DARTS_V2", (32, 32, 3), 10))
    assert table["supernet (darts, 16 channels, 8 cells): parameters"] == "1,930,618"
    assert table["cell (darts, 36 channels, 20 cells): parameters"] == "3,349,342"
    told = table["cell (darts, 36 channels, 20 cells): multiply-adds"]
    assert told == "528,359,040 without linear bias, 528,359,050 with it"
    assert "cell (darts, 16 channels, 8 cells): parameters" in table


def test_one_space_alone_and_large_images():
    config.parse([], ["retrain.space = @darts_imagenet()"])
    text = describe("DARTS_V2", (224, 224, 3), 1000)
    assert "4,718,752" in text and "529,911,552" in text and "supernet" not in text


def test_mobile_networks():
    config.parse(["spaces/proxyless.gin"], [])
    table = rows(describe(",".join(["mbconv_k7_e6"] * 21), (224, 224, 3), 1000))
    assert table["cell (proxyless, 24 channels, 21 cells): parameters"] == "5,103,336"
    told = table["cell (proxyless, 24 channels, 21 cells): multiply-adds"]
    assert told == "606,590,720 without linear bias, 606,591,720 with it"


def test_refuses_images_that_the_network_cannot_halve():
    config.parse([], ["retrain.space = @darts_imagenet()"])
    with pytest.raises(UserError, match="32x32 pixels. Received: images of 31x32"):
        describe("DARTS_V2", (31, 32, 3), 10)


@pytest.mark.parametrize(
    "files, name, message",
    [
        ([], "DARTS_V2", "bind search.space or retrain.space"),
        (["spaces/s2.gin"], "DARTS_V2", "space 's2'"),
        (["spaces/darts.gin"], "DARTS_V9", "DARTS_V9"),
    ],
)
def test_refuses(files, name, message):
    config.parse(files, [])
    with pytest.raises(UserError, match=message):
        describe(name, (32, 32, 3), 10)
