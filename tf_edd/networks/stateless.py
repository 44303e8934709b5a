"""Edges as functions of the values of their variables: they can share a trace, and be run twice."""

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


def call_again(edge, features, weights, values, training, skip_unused):
    """What an edge returns; it is run again in the backward pass, so that nothing inside it is kept.

    Gradients are those of a plain call, up to rounding.

    Args:
        edge: a built `MixedOp`.
        features: as for the edge.
        weights: the candidates' probabilities, [O].
        values: those of its variables.
        training: as for the edge.
        skip_unused: as for the edge.

    Returns:
        The edge's terms, and the values that it assigned to its non-trainable variables, in their order.
    """
    names = sorted(features)

    def run(arguments):
        scalars, maps, rest = arguments[0], arguments[1 : 1 + len(names)], arguments[1 + len(names) :]
        maps = dict(zip(names, maps, strict=True))
        return call_stateless(edge, rest, lambda: edge.call(maps, tf.unstack(scalars), training, skip_unused))

    @tf.custom_gradient
    def forward(*arguments):
        terms, state = run(arguments)

        def backward(*upstream):
            slopes = list(upstream[: len(terms)])
            with tf.control_dependencies(slopes):  # not before it is needed, and not merged with the first run
                again = [tf.identity(argument) for argument in arguments]
            floats = [argument for argument in again if argument.dtype.is_floating]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(floats)
                terms_again, _ = run(again)
            found = iter(tape.gradient(terms_again, floats, slopes, unconnected_gradients=_ZERO))
            return [next(found) if argument.dtype.is_floating else None for argument in again]

        return (*terms, *state), backward

    results = forward(weights, *(features[name] for name in names), *values)
    split = len(results) - len(state_of(edge))
    return list(results[:split]), list(results[split:])


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

    def bind(self, edge, rematerialize=False):
        """`edge.call`, by the function that all edges like this one share."""

        def call(features, weights, training, skip_unused):
            # Replicas cannot meet inside a function; what a condition assigns cannot be handed out of it.
            if replicas() > 1 or (skip_unused and state_of(edge)):
                return run_edge(edge, rematerialize)(features, weights, training, skip_unused)
            function = self._function(edge, training, skip_unused, rematerialize)
            terms, state = function(features, tf.stack(weights), values_of(edge))
            assign_state(edge, state)
            return terms

        return call

    def _function(self, edge, training, skip_unused, rematerialize):
        arguments = {name: value for name, value in edge.get_config().items() if name != "name"}
        key = repr((arguments, training, skip_unused, rematerialize))
        if key not in self._functions:

            def shared(features, weights, values):
                if rematerialize:
                    return call_again(edge, features, weights, values, training, skip_unused)
                scalars = tf.unstack(weights)
                return call_stateless(edge, values, lambda: edge.call(features, scalars, training, skip_unused))

            self._functions[key] = tf.function(shared, autograph=False)
        return self._functions[key]


def run_edge(edge, rematerialize=False):
    """`edge.call`, or a call of it that is run again in the backward pass; what it assigns is assigned once."""
    if not rematerialize:
        return edge.call

    def call(features, weights, training, skip_unused):
        skip_unused = skip_unused and not state_of(edge)  # what a condition assigns cannot be handed out of it
        terms, state = call_again(edge, features, tf.stack(weights), values_of(edge), training, skip_unused)
        assign_state(edge, state)
        return terms

    return call
