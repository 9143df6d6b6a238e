"""Task weighting: how the losses of the tasks become one objective.

Strategies are pure functions of task losses, presence and state. They do not know the network or
the optimizer: state named in `TaskWeighting.learned_state` is learned by whatever optimizer trains
the network, other state is replaced by what `combine` returns.

A task without a labelled cell in the batch is absent, and an absent task moves no state.
"""

from sk_mtl.weighting._aligned_mtl import AlignedMTLWeighting
from sk_mtl.weighting._base import GradientWeighting, SignWeighting, TaskBatch, TaskWeighting
from sk_mtl.weighting._cagrad import CAGradWeighting
from sk_mtl.weighting._dwa import DWAWeighting
from sk_mtl.weighting._fairgrad import FairGradWeighting
from sk_mtl.weighting._famo import FAMOWeighting
from sk_mtl.weighting._fixed import FixedWeighting
from sk_mtl.weighting._geometric import GeometricMeanWeighting
from sk_mtl.weighting._graddrop import GradDropWeighting
from sk_mtl.weighting._gradnorm import GradNormWeighting
from sk_mtl.weighting._gradvac import GradVacWeighting
from sk_mtl.weighting._imtl_g import IMTLGWeighting
from sk_mtl.weighting._log import LogWeighting
from sk_mtl.weighting._make import make_weighting as make_weighting
from sk_mtl.weighting._make import sees_gradients as sees_gradients
from sk_mtl.weighting._mgda import MGDAWeighting
from sk_mtl.weighting._nash_mtl import NashMTLWeighting
from sk_mtl.weighting._pcgrad import PCGradWeighting
from sk_mtl.weighting._random import RandomWeighting
from sk_mtl.weighting._stch import SmoothTchebycheffWeighting
from sk_mtl.weighting._uncertainty import UncertaintyWeighting
from sk_mtl.weighting._upgrad import UPGradWeighting

__all__ = [
    "AlignedMTLWeighting",
    "CAGradWeighting",
    "DWAWeighting",
    "FAMOWeighting",
    "FairGradWeighting",
    "FixedWeighting",
    "GeometricMeanWeighting",
    "GradDropWeighting",
    "GradNormWeighting",
    "GradVacWeighting",
    "GradientWeighting",
    "IMTLGWeighting",
    "LogWeighting",
    "MGDAWeighting",
    "NashMTLWeighting",
    "PCGradWeighting",
    "RandomWeighting",
    "SignWeighting",
    "SmoothTchebycheffWeighting",
    "TaskBatch",
    "TaskWeighting",
    "UPGradWeighting",
    "UncertaintyWeighting",
]

# Pickles name a class by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
