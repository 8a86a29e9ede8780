"""What 12 crowds of 9 families tell about calibration; written by `benchmarks/calibration_prior.py`."""

MEAN = (0.182323, 0.571726, 0.189636)
COVARIANCE = (
    (0.050510, -0.022695, 0.014117),
    (-0.022695, 0.068839, -0.034416),
    (0.014117, -0.034416, 0.044644),
)
BIAS_VARIANCE = 0.234203
