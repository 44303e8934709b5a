"""Layers as functions of the values of their variables: edges that share a trace, cells that are run twice."""

import keras
import tensorflow as tf

from tf_edd.operations.batch_norm import replicas


def call_stateless(layer, values, function):
    """Runs `function` with the variables of `layer` at these values; none of its variables is read or written.

    Args:
        layer: a built Keras layer.
        values: one tensor a variable, in the order of `layer.variables`.
        function: calls the layer.

    Returns:
        What `function` returns, and the values that it assigned to the non-trainable variables, in their order.
    """
    with keras.StatelessScope(state_mapping=list(zip(layer.variables, values, strict=True))) as scope:
        outputs = function()
    return outputs, [scope.get_current_value(variable) for variable in state_of(layer)]


def values_of(layer) -> list[tf.Tensor]:
    """The values of all variables of a layer, read now."""
    return [tf.convert_to_tensor(variable.value) for variable in layer.variables]


def state_of(layer) -> list[keras.Variable]:
    """The variables that a call may assign."""
    return [variable for variable in layer.variables if not variable.trainable]


def assign_state(layer, values) -> None:
    """Gives the non-trainable variables what `call_stateless` returned."""
    for variable, value in zip(state_of(layer), values, strict=True):
        variable.assign(value)


def call_rematerialised(layer, inputs, function):
    """`function(*inputs)`, which calls `layer` and is run again in the backward pass, so that nothing inside is kept.

    Gradients are those of a plain call, up to rounding; what the call assigns (moving averages) is assigned once.

    Args:
        layer: a built Keras layer.
        inputs: tensors.
        function: tensors -> tensor.
    """
    count = len(inputs)

    def run(arguments):
        return call_stateless(layer, arguments[count:], lambda: function(*arguments[:count]))

    @tf.custom_gradient
    def forward(*arguments):
        outputs, state = run(arguments)

        def backward(upstream, *_):
            with tf.control_dependencies([upstream]):  # not before it is needed, and not merged with the first run
                again = [tf.identity(argument) for argument in arguments]
            floats = [argument for argument in again if argument.dtype.is_floating]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(floats)
                outputs_again, _ = run(again)
            slopes = iter(tape.gradient(outputs_again, floats, upstream, unconnected_gradients=_ZERO))
            return [next(slopes) if argument.dtype.is_floating else None for argument in again]

        return (outputs, *state), backward

    outputs, *state = forward(*inputs, *values_of(layer))
    assign_state(layer, state)
    return outputs


_ZERO = tf.UnconnectedGradients.ZERO


class SharedTraces:
    """Functions that edges of one shape share.

    Tracing the operations of every edge, and their gradients, is what the first step of a supernet with many edges
    takes longest for. Edges with equal candidates, channels and stride differ in the values of their variables alone:
    they are traced once, and the function is called with those values. TensorFlow inlines it, so that a step costs
    what it cost before, and unused gradients are still left out.
    """

    def __init__(self):
        self._functions = {}

    def bind(self, edge):
        """`edge.call`, by the function that all edges like this one share."""

        def call(features, weights, training, skip_unused):
            # Replicas cannot meet inside a function; what a condition assigns cannot be handed out of it.
            if replicas() > 1 or (skip_unused and state_of(edge)):
                return edge.call(features, weights, training, skip_unused)
            function = self._function(edge, training, skip_unused)
            terms, state = function(features, tf.stack(weights), values_of(edge))
            assign_state(edge, state)
            return terms

        return call

    def _function(self, edge, training, skip_unused):
        arguments = {name: value for name, value in edge.get_config().items() if name != "name"}
        key = repr((arguments, training, skip_unused))
        if key not in self._functions:

            def shared(features, weights, values):
                scalars = tf.unstack(weights)
                return call_stateless(edge, values, lambda: edge.call(features, scalars, training, skip_unused))

            self._functions[key] = tf.function(shared, autograph=False)
        return self._functions[key]
