"""Edges as functions of the values of their variables, so that they can share a trace and be run twice."""

import keras
import tensorflow as tf

from tf_edd.operations.batch_norm import replicas


def call_stateless(layer, values, function):
    """Runs `function` with the variables of `layer` at these values; none of its variables is read or written.

    Args:
        layer: a built Keras layer.
        values: one tensor per variable, in the order of `layer.variables`.
        function: calls the layer.

    Returns:
        What `function` returns, and the values that it assigned to the non-trainable variables, in their order.
    """
    with keras.StatelessScope(state_mapping=list(zip(layer.variables, values, strict=True))) as scope:
        outputs = function()
    return outputs, [scope.get_current_value(variable) for variable in state_of(layer)]


def values_of(layer) -> list[tf.Tensor]:
    """The values of all variables of a layer, read now; inside `call_stateless` those that it was given."""
    return [_read(variable.value) for variable in layer.variables]


def _read(value) -> tf.Tensor:
    if not isinstance(value, tf.Variable):
        return value
    # One operation per variable: `read_value` adds an identity, and there are thousands.
    return tf.raw_ops.ReadVariableOp(resource=value.handle, dtype=value.dtype)


def state_of(layer) -> list[keras.Variable]:
    """The variables that a call may assign."""
    return [variable for variable in layer.variables if not variable.trainable]


def assign_state(layer, values) -> None:
    """Assigns to the non-trainable variables what `call_stateless` returned."""
    for variable, value in zip(state_of(layer), values, strict=True):
        variable.assign(value)


_ZERO = tf.UnconnectedGradients.ZERO


def call_again(edge, features, weights, values, training, unused, fixed_weights=False):
    """What an edge returns; the backward pass runs it again, so that its activations are not kept.

    Gradients equal those of a plain call up to rounding.

    Args:
        edge: a built `SearchEdge`.
        features: as for the edge.
        weights: the candidates' probabilities, [O].
        values: those of its variables.
        training: as for the edge.
        unused: as for the edge.
        fixed_weights: whether to leave out the gradient with respect to `values`.

    Returns:
        The edge's terms, and the values that it assigned to its non-trainable variables, in their order.
    """
    names = sorted(features)
    inputs = 1 + len(names)

    def run(arguments):
        maps = dict(zip(names, arguments[1:inputs], strict=True))
        scalars = tf.unstack(arguments[0])
        return call_stateless(edge, arguments[inputs:], lambda: edge.call(maps, scalars, training, unused))

    def wanted(index, argument):
        return argument.dtype.is_floating and (index < inputs or not fixed_weights)

    @tf.custom_gradient
    def forward(*arguments):
        terms, state = run(arguments)

        def backward(*upstream):
            slopes = list(upstream[: len(terms)])
            with tf.control_dependencies(slopes):  # not before it is needed, and not merged with the first run
                again = [tf.identity(argument) for argument in arguments]
            sources = [argument for index, argument in enumerate(again) if wanted(index, argument)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                terms_again, _ = run(again)
            slopes_again = iter(tape.gradient(terms_again, sources, slopes, unconnected_gradients=_ZERO))
            return [next(slopes_again) if wanted(index, argument) else None for index, argument in enumerate(again)]

        return (*terms, *state), backward

    results = forward(weights, *(features[name] for name in names), *values)
    split = len(results) - len(state_of(edge))
    return list(results[:split]), list(results[split:])


class SharedTraces:
    """Functions that edges of one shape share.

    The first step of a supernet with many edges spends most of its time, and much of its memory, on tracing the
    operations of every edge and their gradients. Edges with equal candidates, channels, stride and sizes of maps differ
    only in the values of their variables: they are traced once, and the function is called with those values. It is not
    inlined, so the runtime too has it once; gradients that nobody uses have to be left out explicitly.
    """

    def __init__(self):
        self._functions = {}

    def bind(self, edge, rematerialize=False, fixed_weights=False):
        """`edge.call`, by way of the function that all edges like this one share."""

        def call(features, weights, training, unused):
            # Replicas cannot meet inside a function; what a condition assigns cannot be handed out of it.
            if replicas() > 1 or (unused is not None and state_of(edge)):
                return run_edge(edge, rematerialize, fixed_weights)(features, weights, training, unused)
            sizes = [(name, features[name].shape[1:]) for name in sorted(features)]
            function = self._function(edge, sizes, training, unused, rematerialize, fixed_weights)
            terms, state = function(features, tf.stack(weights), values_of(edge))
            assign_state(edge, state)
            return terms

        return call

    def bind_single(self, edge, fixed_weights=False):
        """`edge.call_single`, by way of the function that all edges like this one share."""

        def call(value, weights, training):
            if state_of(edge):  # what a condition assigns cannot be handed out of it
                return edge.call_single(value, weights, training)
            function = self._single_function(edge, value.shape[1:], training, fixed_weights)
            return function(value, tf.stack(weights), values_of(edge))

        return call

    def _single_function(self, edge, sizes, training, fixed_weights):
        def shared(value, weights, values):
            scalars = tf.unstack(weights)

            def run():
                return edge.call_single(value, scalars, training, fixed_weights)

            return call_stateless(edge, values, run)[0]

        return self._shared(edge, sizes, (training, "single", fixed_weights), shared)

    def _shared(self, edge, sizes, options, function):
        """The function of all edges like this one, made from `function` if there is none yet.

        It runs the first such edge, which is built for maps of its sizes: edges of other sizes have another function.
        """
        arguments = {name: value for name, value in edge.get_config().items() if name != "name"}
        key = repr((type(edge).__qualname__, arguments, sizes, options))
        if key not in self._functions:
            self._functions[key] = tf.function(function, autograph=False, experimental_attributes={"_noinline": True})
        return self._functions[key]

    def _function(self, edge, sizes, training, unused, rematerialize, fixed_weights):
        def shared(features, weights, values):
            if fixed_weights:
                values = [tf.stop_gradient(value) for value in values]
            if rematerialize:
                return call_again(edge, features, weights, values, training, unused, fixed_weights)
            scalars = tf.unstack(weights)
            return call_stateless(edge, values, lambda: edge.call(features, scalars, training, unused))

        return self._shared(edge, sizes, (training, unused, rematerialize, fixed_weights), shared)


def run_edge(edge, rematerialize=False, fixed_weights=False):
    """`edge.call`, or a call that the backward pass runs again; what it assigns is assigned once."""
    if not rematerialize:
        return edge.call

    def call(features, weights, training, unused):
        unused = None if state_of(edge) else unused  # what a condition assigns cannot be handed out of it
        values = values_of(edge)
        terms, state = call_again(
            edge, features, tf.stack(weights), values, training, unused, fixed_weights=fixed_weights
        )
        assign_state(edge, state)
        return terms

    return call
