"""Which layer goes where: costs, planner, plans."""
from .analytic import LayerCost, analytic
from .plan import Plan
from .planner import balance

__all__ = ["LayerCost", "Plan", "analytic", "balance"]
