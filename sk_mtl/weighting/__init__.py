"""Task weighting: how the losses of the tasks become one objective.

Strategies are pure functions of task losses, presence and state. They do not know the network or
the optimizer: state named in `TaskWeighting.learned_state` is learned by whatever optimizer trains
the network, other state is replaced by what `combine` returns.

A task without a labelled cell in the batch is absent, and an absent task moves no state.
"""

from sk_mtl.weighting._base import TaskWeighting
from sk_mtl.weighting._fixed import FixedWeighting
from sk_mtl.weighting._make import make_weighting as make_weighting
from sk_mtl.weighting._uncertainty import UncertaintyWeighting

__all__ = ["FixedWeighting", "TaskWeighting", "UncertaintyWeighting"]

# Pickles name a class by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
