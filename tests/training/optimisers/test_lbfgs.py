"""L-BFGS: first steps by hand, quadratics that it solves, and the memory that its next step depends on."""

from __future__ import annotations

import pytest
import torch
from builders import optimiser_settings
from problems import Constant, Quadratic, Steps, path
from torch import Tensor, nn

from general_circuits.training.optimisers import HISTORY


def settings(**changes):
    usual = {"optimiser": "lbfgs", "decay": "coupled", "warm_up": 0, "batch_size": "full", "weight_decay": 0.0}
    return optimiser_settings(**(usual | {"learning_rate": 1.0} | changes))


def test_a_quadratic_at_worked_values():
    """The loss is ½ · 4 (w − 1)².

    At 2 the gradient is 4. The first step is ½ · min(1, 1 / 4) along −4, to 1.5. There the gradient is 2, so the
    curvature is 2 / ½ = 4 and the direction −2 / 4. Half of this leads to 1.25, and the next half to 1.125.
    """
    assert path(settings(learning_rate=0.5), 3, Quadratic(4.0)) == [1.5, 1.25, 1.125]


def test_decay_is_a_part_of_what_decreases():
    """The minimised function is f = ½ (w − 1)² + ½ · ½ w², with its minimum at 2/3.

    At 2 its gradient is 1 + 1, and the first step is 1 / 2 along −2, to 1. There the gradient is 0 + ½. The curvature
    is therefore 1.5 / 1, and the direction −1/3.
    """
    assert path(settings(weight_decay=0.5), 2) == pytest.approx([1.0, 2 / 3], rel=1e-15)


def test_only_decaying_weights_decay():
    """The minimised function is ½ · ½ ‖W‖². Its gradient is (1, −2), and the first step is 1 / 3 against it."""
    steps = Steps(settings(weight_decay=0.5, decay_on=("W",)), Constant())
    assert steps.take() == pytest.approx(1 / 3)
    assert steps.module.W.tolist() == [pytest.approx([2 - 1 / 3, -4 + 2 / 3])]
    assert steps.module.b.tolist() == [3.0]


def test_a_vanishing_gradient_changes_nothing():
    steps = Steps(settings(weight_decay=0.0), Constant())
    assert [steps.take() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert steps.module.W.tolist() == [[2.0, -4.0]]
    assert steps.updater.tensors() == {}


class Bowl(nn.Module):
    """The loss ½ xᵀ A x − bᵀ x, with a positive definite A whose condition number is about 10."""

    def __init__(self, n: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        axes = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
        self.A = axes @ torch.diag(torch.linspace(1.0, 10.0, n, dtype=torch.float64)) @ axes.T
        self.b = torch.randn(n, generator=generator, dtype=torch.float64)
        self.x = nn.Parameter(torch.zeros(n, dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.5 * self.x @ self.A @ self.x - self.b @ self.x

    def error(self) -> float:
        """Return the distance from the minimum, relative to the distance of the start."""
        solution = torch.linalg.solve(self.A, self.b)
        return ((self.x.detach() - solution).norm() / solution.norm()).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_convex_quadratic_is_solved_in_about_as_many_steps_as_it_has_dimensions(n, seed):
    """Exact searches would take n steps (Nocedal and Wright 2006, theorem 6.4); these take a few more."""
    module = Bowl(n, seed)
    steps = Steps(settings(), module)
    for _ in range(n + 4):
        steps.take()
    assert module.error() < 1e-3


def test_the_memory_stops_growing_at_the_length_of_the_history():
    steps = Steps(settings(), Bowl(40))
    for _ in range(HISTORY + 5):
        steps.take()
    remembered = steps.updater.tensors()
    for kind in ("old_dirs", "old_stps", "ro"):
        assert sum(name.startswith(f"lbfgs {kind} ") for name in remembered) == HISTORY
    numbers = sum(tensor.numel() for tensor in remembered.values() if tensor.dim())
    assert numbers == (2 + 2 * HISTORY) * 40  # as costs count them


@pytest.mark.parametrize("before", [0, 1, 2, 7, HISTORY + 3])
def test_an_iteration_goes_on_from_what_was_remembered_with_equal_bytes(before):
    first, second = (Steps(settings(), Bowl(40).float()) for _ in range(2))
    for module in (first.module, second.module):
        module.A, module.b = module.A.float(), module.b.float()
    for _ in range(before):
        first.take()
    second.take()  # at another step than `first`, before or after it
    with torch.no_grad():
        second.module.x.copy_(first.module.x)
    second.updater.restore({name: tensor.clone() for name, tensor in first.updater.tensors().items()}, before)
    second.step = before
    for _ in range(5):
        assert first.take() == second.take()
        assert torch.equal(first.module.x, second.module.x)


def test_a_step_does_not_evaluate_the_gradient_that_it_was_given_again():
    """The first trial on ½ · 4 (w − 1)² is the minimum, so there is one gradient before it and one after it."""
    calls = []
    steps = Steps(settings(), Quadratic(4.0))
    objective = steps.objective
    steps.objective = lambda sets_gradients: calls.append(sets_gradients) or objective(sets_gradients)
    steps.take()
    assert calls == [True, False, True]
    assert steps.module.w.item() == 1.0
