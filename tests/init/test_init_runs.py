"""What init writes runs: a search of it, to its ensemble, on the images that init said."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from medray.init.init_command import begin
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions
from tests.audit.audit_samples import blobs


@pytest.mark.component
def test_a_search_of_what_was_written_runs_to_the_end(tmp_path: Path) -> None:
    for number, image in enumerate(blobs(40, size=24)):
        path = tmp_path / "films" / ("dark", "light", "rare")[2 if number < 3 else number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.where(number % 2, image // 2 + 128, image // 2).astype(np.uint8)
        Image.fromarray(pixels[: 24 - 8 * (number % 5 == 0), :, 0]).save(path)
    (tmp_path / "films" / "dark" / "broken.png").write_bytes(b"half a picture")
    console = Console(file=io.StringIO(), width=200)
    path = begin("films", f"folder:{tmp_path / 'films'}", str(tmp_path / "films.yaml"), console)
    run_search(
        SearchOptions(str(path), trials=2, max_epochs=1, out=str(tmp_path / "run"), runner="local"), console
    )
    assert (tmp_path / "run" / "ensemble" / "manifest.json").is_file()
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    counts = [facts["splits"][split]["images"] for split in ("train", "val", "test")]
    title = f"films: {facts['images']} images in 2 classes ({counts[0]} train, {counts[1]} val, {counts[2]} test)."
    assert title in path.read_text()
    assert facts["images"] == 37
    assert facts["aspect"] == "pad"
