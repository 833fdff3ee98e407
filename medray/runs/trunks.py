"""The trunks of a run: tensors that many of its trainings share and none changes, in a file once.

A trunk's file is `trunks/SHA256.safetensors` in the run's folder, named by the hash of its content. The weights
and checkpoints of trainings that have it leave its tensors out, and name the hash in their metadata as `trunk`.
"""

import hashlib
import json

from medray.errors import WeightsError, one_line
from medray.files import facts_in_weights
from medray.runs.folder import Folder
from medray.runs.rundir import TrialDir

TRUNK = "trunk"  # the key of the metadata
LEAST_BYTES = 64 * 1024  # of a trunk that is worth a file


def write_trunk(trunks: Folder, content: bytes) -> str:
    """Write a trunk's file, unless it is there, and return its SHA-256; several workers may do so at once."""
    sha256 = hashlib.sha256(content).hexdigest()
    if not trunks.exists(_file(sha256)):
        trunks.write(_file(sha256), content)
    return sha256


def read_trunk(trunks: Folder, sha256: str, needed_by: str) -> bytes:
    """Return the content of a trunk's file; `needed_by` is the file that names it, in errors.

    Raises:
        WeightsError: it is missing, or not the one that its name says.
    """
    path = trunks.path(_file(sha256))
    try:
        content = trunks.read(_file(sha256))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing, which {needed_by} needs") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{path} is damaged: its SHA-256 is not its name; {needed_by} needs it")
    return content


def complete_weights(folder: TrialDir) -> bytes:
    """Return the weights of a training as a safetensors file with all tensors, those of its trunk too.

    Raises:
        WeightsError: the weights or the trunk are missing, damaged or don't fit together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load, save

    path = folder.path(folder.WEIGHTS)
    try:
        content = folder.read(folder.WEIGHTS)
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing") from None
    facts = facts_in_weights(content, path)
    sha256 = facts.pop(TRUNK, None)
    if sha256 is None:
        return content
    trunk = read_trunk(folder.trunks, str(sha256), path)
    try:
        own, shared = load(content), load(trunk)
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged: {one_line(error)}") from None
    if twice := own.keys() & shared.keys():
        raise WeightsError(f"{path} has {min(twice)}, and so has its trunk {folder.trunks.path(_file(sha256))}")
    return bytes(save({**own, **shared}, {"medray": json.dumps(facts)}))


def _file(sha256: str) -> str:
    return f"{sha256}.safetensors"
