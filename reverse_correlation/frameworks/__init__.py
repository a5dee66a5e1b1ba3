"""What Keras has no word for, once for each framework that it computes with.

    from reverse_correlation.frameworks import framework

Everything else that is drawn, shown and summed is written once, with `keras.ops`. Each module here
has the same functions: numbers of one generator, Fourier transforms, compiling, gradients, double
precision. `framework` is the module of the backend that Keras uses; see `backend.py` for which.
"""

import importlib

from reverse_correlation import backend

backend.refuse_none()
framework = importlib.import_module(f"{__name__}.{backend.chosen()}")
