"""Reads a search space from YAML and checks it.

    name: organs
    data: medmnist:organsmnist
    objective: {metric: auc, mode: max}
    budget: {trials: 40, max_epochs: 40, grace_epochs: 10, reduction_factor: 2, patience: 10}
    resources: {cpu: 1, gpu: 0.25}
    space:
      optimizer: {choice: [adam, sgd]}
      learning_rate: {log: [0.0001, 0.01]}
      momentum: {uniform: [0.5, 0.99], when: {optimizer: sgd}}
    fixed: {class_balance: loss}
    transforms:
      light: [{Rotate: {limit: 30, p: 0.5}}]
    baselines:
      plain: {optimizer: adam, learning_rate: 0.001}
    published:
      report: Lee et al. 2024
      data: OrganSMNIST, its own splits
      figures:
        plain: {test: {accuracy: 0.71}}

Whether a backbone or a transform exists is asked of the training core (`medray.training.check`). Every error
names the file, the key, what is allowed and the nearest spelling.
"""

from medray.space.combinations import check_combinations, combinations, freezes_less
from medray.space.parameters_section import VERBS
from medray.space.reader import SpaceReader
from medray.space.search_space import SearchSpace
from medray.space.shipped import find_space, shipped_folder, shipped_spaces
from medray.space.yaml_fields import NOT_SEARCHED

__all__ = [
    "NOT_SEARCHED",
    "VERBS",
    "check_combinations",
    "combinations",
    "find_space",
    "freezes_less",
    "parse",
    "shipped_folder",
    "shipped_spaces",
]


def parse(text: str, path: str) -> SearchSpace:
    """Check the text of a search space; `path` is what errors call it.

    Raises:
        ConfigError: something in it is wrong.
    """
    space = SpaceReader(path, text).space()
    check_combinations(space)
    return space
