"""Read a search space from YAML and check it.

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

Whether a backbone or a transform exists is checked by the training core (`medray.training.check`). Every error
names the file, the key, what is allowed and the nearest spelling.
"""

from medray.errors import ConfigError
from medray.space.combinations import check_combinations
from medray.space.reader import read_space
from medray.space.search_space import SearchSpace
from medray.space.shipped import find_space


def load_space(name_or_path: str) -> SearchSpace:
    """Read a search space that ships with medray, by its name, or a YAML file, by its path.

    Raises:
        ConfigError: there is no such space, or something in the file is wrong.
    """
    path = find_space(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"can't be read as UTF-8 text: {error}", file=path) from None
    return parse(text, str(path))


def parse(text: str, path: str) -> SearchSpace:
    """Read the text of a search space; `path` is the file's name in errors.

    Raises:
        ConfigError: something in it is wrong; file and key are named.
    """
    try:
        space = read_space(text, path)
        check_combinations(space)
    except ConfigError as error:
        raise error.within(file=path) from None
    return space
