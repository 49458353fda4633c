"""Muon: matrices are moved by their momentum with all its singular values made about equal, everything else by AdamW."""

import torch

from ..clip.masters import Masters

MOMENTUM = 0.95
SIZE = 0.2  # of an update's entries, root of the mean square, as AdamW's usually are; so both share one learning rate
ROUNDS, A, B, C = 5, 3.4445, -4.7750, 2.0315  # the quintic of Newton-Schulz that takes singular values near one fastest


class Muon(Masters):
    """`Masters` whose matrices inside the model's layers are moved by Muon."""

    def __init__(self, modules: list[torch.nn.Module], lr: float, decay: float, average: float):
        super().__init__(modules, lr, decay, average)
        self.decay = decay
        inside = [n.startswith("0.") and "layers." in n or "modality_projection" in n for n in self.names]
        chosen = [m for m, i in zip(self.master, inside) if i and m.ndim == 2]
        self.groups: dict[tuple[int, int], list[int]] = {}  # which of `chosen` have one shape, lying or standing
        for k, m in enumerate(chosen):
            self.groups.setdefault(tuple(sorted(m.shape)), []).append(k)
        self.chosen, self.momentum = chosen, [torch.zeros_like(m) for m in chosen]
        known = {id(m) for m in chosen}
        self.adam = torch.optim.AdamW(
            [{"params": [m for m in self.master if id(m) not in known], "weight_decay": 0.0}], lr=lr, betas=(0.9, 0.98), eps=1e-8)

    @torch.no_grad()
    def move(self, lr: float) -> None:
        """One update of the matrices from their gradients, which are taken away so that AdamW leaves them alone."""
        grads = [m.grad for m in self.chosen]
        torch._foreach_lerp_(self.momentum, grads, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(grads, self.momentum, MOMENTUM)
        for shape, members in self.groups.items():
            lying = [self.chosen[k].shape == shape for k in members]
            stack = torch.stack([ahead[k] if flat else ahead[k].T for k, flat in zip(members, lying)])
            for k, flat, update in zip(members, lying, evened(stack)):
                self.chosen[k].mul_(1 - lr * self.decay).sub_(update if flat else update.T, alpha=lr * SIZE * shape[1]**0.5)
        for m in self.chosen:
            m.grad = None

    def state(self) -> dict:
        return super().state() | {"momentum": self.momentum}

    @torch.no_grad()
    def load(self, state: dict) -> None:
        super().load(state)
        for mine, theirs in zip(self.momentum, state["momentum"]):
            mine.copy_(theirs)


def evened(stack: torch.Tensor) -> torch.Tensor:
    """Matrices (n, rows, columns), rows no more than columns, with singular values of about one."""
    x = stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-12)
    x = x.bfloat16()
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = A * x + (B * square + C * square @ square) @ x
    return x.float()
