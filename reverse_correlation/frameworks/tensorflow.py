"""TensorFlow: one graph a shard, its own Philox, its gradients."""

import contextlib

import tensorflow as tf

NAME, VERSION = "tensorflow", tf.__version__


def uniform(seed, second, shape, start=None):
    """Draw uniform numbers on [0, 1): arguments may be tensors."""
    key = _key(seed, second)
    if start is None:
        return tf.random.stateless_uniform(shape, key, alg="philox")
    state = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
    step = tf.cast(tf.cast(start, tf.int64), tf.uint64)
    moved = state.counter + tf.stack([step, tf.zeros((), tf.uint64)])
    return tf.raw_ops.StatelessRandomUniformV2(shape=shape, key=state.key, counter=moved, alg=1)


def words(seed, second, shape):
    """Draw random integers."""
    return tf.random.stateless_uniform(
        shape, _key(seed, second), minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )


def _key(seed, second):
    return tf.stack([tf.cast(seed, tf.int64), tf.cast(second, tf.int64)])


def filtered(images, gain, added=None):
    """Return images with each frequency multiplied by its gain."""
    spectrum = tf.signal.rfft2d(images)
    spectrum *= tf.cast(tf.constant(gain, images.dtype), spectrum.dtype)
    if added is not None:
        spectrum += tf.complex(*added)
    return tf.signal.irfft2d(spectrum, images.shape[-2:])


def product(a, b):
    """Return a matrix product whose factors are not rounded."""
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    if rounds and tf.config.list_physical_devices("GPU"):
        return tf.cast(tf.matmul(tf.cast(a, tf.float64), tf.cast(b, tf.float64)), tf.float32)
    return tf.matmul(a, b)


def filter_sums(stimuli, activity, shape, strides):
    """Sum activity times the patch under it."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=stimuli,
        filter_sizes=shape,
        out_backprop=activity,
        strides=(1, *strides, 1),
        padding="VALID",
    )


def column_gradients(function, x):
    """Return function(x), and the gradients of the sum of each column."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        answers = function(x)
        columns = tf.unstack(answers, axis=1)
    return answers, tf.stack([tape.gradient(column, x) for column in columns])


def compiled(function):
    """Return a function of tensors and integers, compiled once for all of them."""
    graph = tf.function(function, reduce_retracing=True, autograph=False)

    def on_tensors(*arguments):
        return graph(*(tf.constant(x, tf.int64) if isinstance(x, int) else x for x in arguments))

    return on_tensors


as_graph = compiled  # here, numbers can be drawn inside, too


def shard_of(work, at_once):
    """Return a function for the sums of a shard: one graph with a loop over blocks."""
    size, number = work.block_images, tf.TensorSpec((), tf.int64)

    def add(index, sums, first, images, orthogonal):
        count = tf.minimum(images - index * size, size)
        block = work.block(first + index, count, orthogonal)
        return index + 1, work.added(sums, first + index, block)

    @tf.function(input_signature=[number, number], autograph=False)  # which takes a second
    def shard(first, images):
        orthogonal = work.orthogonal(first)
        _, sums = tf.while_loop(
            lambda index, _: index * size < images,
            lambda index, sums: add(index, sums, first, images, orthogonal),
            (tf.constant(0, tf.int64), work.zeros()),
            parallel_iterations=at_once,
        )
        return sums

    def followed(first, images, progress):
        """Return the same, and say at the end that they were shown."""
        sums = shard(first, images)
        progress(images)
        return sums

    return followed


def where(condition, when_true, when_false):
    """Return what one of two functions returns, both of which may be part of a graph."""
    return tf.cond(condition, when_true, when_false)


def inference(device=None):
    """Return a context in which networks answer."""
    return tf.device(device) if device else contextlib.nullcontext()


def double():
    """Return a context in which float64 arrays stay so."""
    return contextlib.nullcontext()


def use_threads(count):
    """Compute with so many threads, if nothing has been computed yet."""
    with contextlib.suppress(RuntimeError):  # TensorFlow is already running in this process
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
