"""torchrl: modules over tensordicts, and losses with their target networks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torch import nn
from torchrl.modules import MLP, NoisyLinear, ProbabilisticActor, QValueActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss, DQNLoss, SACLoss, SoftUpdate

from crater.built import Built

ROOTS = ("torchrl.modules", "torchrl.objectives")
HINTS = {
    "in_features": 16,
    "out_features": 16,
    "in_channels": 4,
    "out_channels": 4,
    "input_size": 16,
    "hidden_size": 16,
    "n_agents": 2,
    "action_dim": 2,
    "state_dim": 4,
    "input_dim": 4,
}


def _actor() -> ProbabilisticActor:
    net = nn.Sequential(MLP(in_features=4, out_features=4, num_cells=[8]), NormalParamExtractor())
    return ProbabilisticActor(
        TensorDictModule(net, ["observation"], ["loc", "scale"]),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        return_log_prob=True,
    )


def _value(n: int = 4) -> ValueOperator:
    return ValueOperator(MLP(in_features=n, out_features=1, num_cells=[8]), in_keys=["observation"])


def losses() -> Iterator[Built]:
    """With their targets."""
    critic = ValueOperator(MLP(in_features=6, out_features=1, num_cells=[8]), in_keys=["observation", "action"])
    ppo = ClipPPOLoss(_actor(), _value())
    yield Built(ppo, optimizer=torch.optim.Adam(ppo.parameters()), name="PPO")
    dqn = DQNLoss(
        QValueActor(
            MLP(in_features=4, out_features=2, num_cells=[8]), in_keys=["observation"], action_space="categorical"
        ),
        action_space="categorical",
        delay_value=True,
    )
    yield Built(dqn, optimizer=torch.optim.Adam(dqn.parameters()), name="DQN")
    SoftUpdate(dqn, eps=0.99)
    yield Built(dqn, name="DQN with an updater")
    from torchrl.data import Bounded

    sac = SACLoss(_actor(), critic, action_spec=Bounded(-1, 1, (2,)))
    yield Built(sac, optimizer=torch.optim.Adam(sac.parameters()), name="SAC")


class Agent(nn.Module):
    """Noisy layers and an actor."""

    def __init__(self) -> None:
        super().__init__()
        self.body = MLP(in_features=4, out_features=8, num_cells=[8], layer_class=NoisyLinear)
        self.actor = _actor()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def as_user_code() -> Built:
    """A user's agent."""
    return Built(Agent(), (torch.randn(2, 4),))
