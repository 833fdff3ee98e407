"""Links: layers after a backbone that turn its outputs into the log-probabilities of ordered grades.

Their softmax gives the probabilities back, and their cross entropy is the model's own likelihood, so everything
that comes after a network (loss, class weights, averaging, export) takes them as it takes logits.

    cumulative    one score and rising cut points, the proportional odds model (McCullagh 1980)
    corn          a logit for each "above this grade, given that not below it" (Shi, Cao & Raschka 2023)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_GAP = 1e-3  # between two cut points, in log-odds: closer ones would leave a grade no room
#: Cut points move by so many times the step of other parameters: at a backbone's learning rate the gaps would
#: stay as narrow as they start, and grades in the middle would never be the likeliest.
SPEED = 10.0


class Cumulative(nn.Module):
    """Maps a score (n, 1) to log-probabilities (n, grades): P(y > k) = sigmoid(score - cut k)."""

    def __init__(self, grades: int) -> None:
        super().__init__()
        self.outputs = 1
        self.first = nn.Parameter(torch.zeros(()))
        self.gaps = nn.Parameter(torch.zeros(grades - 2))
        self.start(torch.full((grades,), 1 / grades))

    @torch.no_grad()
    def start(self, shares: Tensor) -> None:
        """Put the cut points where a score of 0 gives each grade its share (grades,) of the training images."""
        cuts = torch.logit(shares.cumsum(0)[:-1].clamp(0.01, 0.99))
        gaps = cuts.diff().clamp_min(2 * LEAST_GAP) - LEAST_GAP
        self.first.copy_(cuts[0] / SPEED)
        self.gaps.copy_(torch.log(torch.expm1(gaps)) / SPEED)  # the inverse of softplus

    def forward(self, scores: Tensor) -> Tensor:
        """Return log-probabilities, float32 (n, grades)."""
        gaps = F.softplus(SPEED * self.gaps) + LEAST_GAP
        cuts = SPEED * self.first + torch.cat([gaps.new_zeros(1), gaps.cumsum(0)])
        below = cuts - scores.float()  # log-odds of "at most grade k"
        # log(sigmoid(b) - sigmoid(a)) for a < b, without the difference of two numbers that are nearly equal
        middle = F.logsigmoid(below[:, 1:]) + F.logsigmoid(-below[:, :-1]) + torch.log(1 - torch.exp(-gaps))
        return torch.cat([F.logsigmoid(below[:, :1]), middle, F.logsigmoid(-below[:, -1:])], dim=1)


class Corn(nn.Module):
    """Maps logits (n, grades - 1) to log-probabilities (n, grades): logit k is of y > k given y >= k."""

    def __init__(self, grades: int) -> None:
        super().__init__()
        self.outputs = grades - 1

    def start(self, shares: Tensor) -> None:
        """Start as the backbone does: nothing here is learned."""

    def forward(self, logits: Tensor) -> Tensor:
        """Return log-probabilities, float32 (n, grades)."""
        logits = logits.float()
        above = F.logsigmoid(logits).cumsum(dim=1)  # log P(y > k)
        reached = torch.cat([torch.zeros_like(above[:, :1]), above[:, :-1]], dim=1)
        return torch.cat([reached + F.logsigmoid(-logits), above[:, -1:]], dim=1)


Link = Cumulative | Corn
LINKS: dict[str, type[Cumulative] | type[Corn]] = {"cumulative": Cumulative, "corn": Corn}
