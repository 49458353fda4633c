"""Optimisation through f32 master weights where every matrix takes an orthogonal step.

Muon: Jordan et al., https://kellerjordan.github.io/posts/muon; its steps are scaled to those of AdamW
(Liu et al., "Muon is scalable for LLM training", https://arxiv.org/abs/2502.16982), so that one learning rate serves
both. Convolutions count as matrices of (out, in * height * width).
"""

import torch

from ..clip.masters import Masters

PLAIN = ("embedding", "conv_in", "conv_out")  # parts of names that AdamW keeps


class OrthogonalMasters(Masters):
    """`Masters` of which the matrices of all modules move by Muon, and the modules named in `gentle` at a share of the rate.

    gentle: (module's number, share).
    """

    def __init__(self, modules, lr: float, decay: float, average: float, gentle: tuple[int, float] = (-1, 1.0)):
        super().__init__(modules, lr, decay, average)
        self.gentle = gentle
        own, others = [], []
        for name, master in zip(self.names, self.master):
            share = gentle[1] if name.startswith(f"{gentle[0]}.") else 1.0
            if master.ndim >= 2 and not any(part in name for part in PLAIN):
                own.append({"params": [master.detach().flatten(1)], "share": share, "of": master})
            else:
                others.append({"params": [master], "share": share, "weight_decay": decay if master.ndim > 1 else 0.0})
        self.views = [(group.pop("of"), group["params"][0]) for group in own]
        self.muon = torch.optim.Muon(own, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), eps=1e-8)

    def step(self, lr: float, step: int, clip: float = 1.0) -> None:
        """One update from the live gradients, which are cleared."""
        for master, (_, p) in zip(self.master, self.live):
            master.grad = p.grad.float() if p.grad is not None else None
            p.grad = None
        torch.nn.utils.clip_grad_norm_(self.master, clip)
        for master, view in self.views:
            view.grad = master.grad.flatten(1) if master.grad is not None else None
        for optimiser in (self.muon, self.adam):
            for group in optimiser.param_groups:
                group["lr"] = lr * group["share"]
            optimiser.step()
        with torch.no_grad():
            kept = min(self.average, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.mean, self.master, 1 - kept)
        self.push()

    def state(self) -> dict:
        return super().state() | {"muon": self.muon.state_dict()}

    def load(self, state: dict) -> None:
        super().load(state)
        self.muon.load_state_dict(state["muon"])
