"""stable-baselines3: the policies of its algorithms, with the optimizers that they build."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from crater.built import Built

HINTS = {
    "observation_space": lambda: gym.spaces.Box(-1, 1, (4,)), "action_space": lambda: gym.spaces.Box(-1, 1, (2,)),
    "lr_schedule": lambda: lambda _: 1e-3, "features_dim": 4, "feature_dim": 4, "net_arch": lambda: [8],
    "features_extractor": lambda: nn.Flatten(),
}  # fmt: skip


def algorithms() -> Iterator[Built]:
    """Fresh, and after learning a little."""
    for algorithm, env in (
        (PPO, "CartPole-v1"),
        (A2C, "CartPole-v1"),
        (DQN, "CartPole-v1"),
        (SAC, "Pendulum-v1"),
        (TD3, "Pendulum-v1"),
        (DDPG, "Pendulum-v1"),
    ):
        options = {"n_steps": 16} if algorithm in (PPO, A2C) else {"learning_starts": 8, "buffer_size": 64}
        agent = algorithm("MlpPolicy", env, seed=0, device="cpu", **options)
        policy = agent.policy
        optimizers = [
            each
            for each in (
                getattr(policy, "optimizer", None),
                *(getattr(getattr(policy, part, None), "optimizer", None) for part in ("actor", "critic")),
            )
            if each is not None
        ]
        yield Built(policy, optimizer=optimizers, name=algorithm.__name__)
        agent.learn(32)
        yield Built(policy, optimizer=optimizers, name=f"{algorithm.__name__} after learning")


def policies() -> Iterator[Built]:
    """By themselves."""
    yield Built(
        ActorCriticPolicy(gym.spaces.Box(-1, 1, (4,)), gym.spaces.Box(-1, 1, (2,)), lambda _: 1e-3, use_sde=True),
        name="gSDE",
    )
    yield Built(
        ActorCriticCnnPolicy(gym.spaces.Box(0, 255, (3, 64, 64), "uint8"), gym.spaces.Discrete(4), lambda _: 1e-3),
        name="CNN",
    )


class Extractor(BaseFeaturesExtractor):
    """A user's own, as the documentation shows."""

    def __init__(self, space: gym.Space, features_dim: int = 8) -> None:
        super().__init__(space, features_dim)
        self.net = nn.Sequential(nn.Linear(4, features_dim), nn.ReLU())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.net(observations)


def as_user_code() -> Iterator[Built]:
    """In on- and off-policy agents."""
    for algorithm in (PPO, DQN):
        agent = algorithm(
            "MlpPolicy", "CartPole-v1", policy_kwargs={"features_extractor_class": Extractor}, device="cpu"
        )
        yield Built(agent.policy, optimizer=agent.policy.optimizer, name=algorithm.__name__)
