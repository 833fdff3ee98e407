"""One training by several processes, each on its part of every batch, by torch.distributed."""
