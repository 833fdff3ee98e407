"""The training core: plain PyTorch, never Ray, Optuna or files; albumentations and timm only when used."""
