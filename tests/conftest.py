"""What every test shares: a quiet TensorFlow, figures without a window, repeatable properties."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import HealthCheck, settings

# Compiling a network takes longer than Hypothesis expects of one example.
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, database=None, **_patient)
settings.register_profile("long", max_examples=2000, print_blob=True, **_patient)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
