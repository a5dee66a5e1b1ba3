"""What Keras has no word for, once for each framework that it computes with.

    from reverse_correlation.frameworks import framework

Everything else that is drawn, shown and summed is written once, with `keras.ops`. `framework` is
the module of the backend that Keras uses; see `backend.py` for which. All have the same names:

    NAME, VERSION                   of the package
    uniform(seed, second, shape, start=None)
                                    uniform numbers on [0, 1), float32, of the generator whose seed
                                    is two integers, from the counter `start` on, each for four
    words(seed, second, shape)      random int32 integers of the same generator
    filtered(images, gain, added=None)
                                    images (..., h, w), float32 or float64, with each frequency
                                    times its gain, a NumPy array (h, w // 2 + 1); `added` is the
                                    real and the imaginary part of what is added to the spectrum
    product(a, b)                   a matrix product of float32, whose factors no GPU rounds first
    filter_sums(stimuli, activity, shape, strides)
                                    activity (n, rows, columns, f) times the patch of stimuli (n, H,
                                    W, c) under it, summed over images and positions: `shape`, (h,
                                    w, c, f). It is a convolution's gradient by its filter
    column_gradients(function, x)   function(x), (n, K), and the gradients of the sum of each column
    compiled(function)              a function of tensors, compiled if that can be
    as_graph(function)              the same of one that draws numbers, if that can be
    shard_of(work, at_once)         a function of (first block, images, progress) for the sums of a
                                    shard of a NoisePass; so many blocks may be in the works at once
    where(condition, one, other)    what one of two functions returns
    inference(device=None)          a context in which networks answer, on that device or the usual
    double()                        a context in which float64 arrays stay so
    use_threads(count)              compute with so many threads
"""

import importlib

from reverse_correlation import backend

backend.refuse_none()
framework = importlib.import_module(f"{__name__}.{backend.chosen()}")
