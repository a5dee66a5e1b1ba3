"""What an observer is shown: a base image plus a linear map of independent numbers."""

KINDS = {  # name on the command line: module and class; to add an ensemble, add a line
    "gaussian": "white.WhiteNoise",
    "uniform": "white.WhiteNoise",
    "binary": "white.WhiteNoise",
    "coarse": "coarse.CoarseNoise",
    "pink": "pink.PinkNoise",
    "sinusoid": "sinusoid.SinusoidNoise",
    "gabor": "gabor.GaborNoise",
    "sparse": "sparse.SparseNoise",
}
