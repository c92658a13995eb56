"""Which layer goes where, and what it would bring: costs, planner, plans, simulation."""
from .analytic import analytic
from .cost import LayerCost, parameter_bytes, stage_bytes
from .device import DEVICES, PCIE, Device, Link, estimate
from .plan import Plan
from .planner import balance
from .profile import Profile, profile
from .segments import Misfit
from .simulator import Simulation, most_live, simulate
from .spanning import span
from .tune import Choice, Costs, tune

__all__ = ["analytic", "balance", "Choice", "Costs", "Device", "DEVICES", "estimate", "LayerCost", "Link", "Misfit",
           "most_live", "parameter_bytes", "PCIE", "Plan", "Profile", "profile", "simulate", "Simulation", "span",
           "stage_bytes", "tune"]
