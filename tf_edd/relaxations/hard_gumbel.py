"""One candidate drawn for each edge, with the gradient of a softmax."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.gumbel import expected_choice, gumbel_softmax
from tf_edd.relaxations.relaxation import Relaxation


@part(module="tf_edd.relaxations")
class HardGumbel(Relaxation):
    """Each edge draws one candidate; the gradient is that of the softmax which the draw is the limit of.

        q = softmax((ln softmax(A) + G) / t),   G ~ Gumbel(0, 1)
        forward      beta = one_hot(argmax_o q_o)
        backward     d beta / d A := d q / d A

    Candidate o is drawn with probability softmax(A)_o, at any temperature; t scales the gradient. These probabilities
    are the weights without noise. A step runs the drawn candidates alone, as it may for all relaxations that are
    `one_hot`. The weight of a drawn candidate then has the gradient <g, o(x)>, g that of the node. The weights of the
    others have <g, 1>, as if they gave the constant 1: the released code adds their weights of 0 to the node.

    Attributes:
        unselected_gradient: Whether the weights of candidates that were not drawn have this gradient. With False it is
            0, and q moves by the drawn candidate alone (`gdas_v1` of the released code).

    Source: Dong and Yang, "Searching for A Robust Neural Architecture in Four GPU Hours", CVPR 2019, arXiv 1910.04465;
    released code, D-X-Y/AutoDL-Projects, `xautodl/models/cell_searchs/search_model_gdas.py` and `search_cells.py`.
    """

    unselected_gradient: bool = True

    simplex: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True
    one_hot: ClassVar[bool] = True

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        soft = gumbel_softmax(logits, temperature, seed)
        hard = tf.one_hot(tf.argmax(soft, axis=-1), soft.shape[-1])
        slope = soft - tf.stop_gradient(soft)  # 0 exactly, so that the weights are 0 and 1 exactly
        return hard + (slope if self.unselected_gradient else hard * slope)

    def mean(self, logits, temperature) -> tf.Tensor:
        return expected_choice(logits)
