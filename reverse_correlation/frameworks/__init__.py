"""What Keras has no word for, once for each framework that it computes with.

    from reverse_correlation.frameworks import framework

Everything else that is drawn, shown and summed is written once, with `keras.ops`. Each module here
has the same functions: numbers of one generator, Fourier transforms, compiling, gradients, double
precision. `framework` is the module of the backend that Keras uses; see `backend.py` for which.
"""

import importlib

from reverse_correlation import backend
from reverse_correlation.errors import UserError

backend.refuse_none()

import keras  # noqa: E402  (it imports what was found to be installed)

if keras.backend.backend() not in backend.PACKAGES:
    raise UserError(
        f"Keras computes with {keras.backend.backend()!r} here, which cannot show noise: set "
        f"{backend.BACKEND} to one of {', '.join(backend.PACKAGES)}"
    )
framework = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
