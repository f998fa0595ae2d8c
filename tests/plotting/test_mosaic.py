"""Pictures of images without a drawing library: read by another one, they are the same pixels."""

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

import symsi
from symsi.plotting.mosaic import mosaic, write_png


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_a_png_holds_each_pixel_as_a_square(channels: int, count: int, tmp_path: Path) -> None:
    images = torch.linspace(-0.2, 1.2, count * channels * 12).reshape(count, channels, 3, 4)
    found = matplotlib.image.imread(write_png(images, tmp_path / "x.png"))
    across, lines = (3, 2) if count == 5 else (1, 1)
    times = 900 // (4 * across)
    assert found.shape == (lines * 3 * times, across * 4 * times, 3)[: 2 + (channels == 3)]
    wanted = np.rint(mosaic(images) * 255) / 255
    for k in (0, times - 1):
        np.testing.assert_allclose(found[k::times, k::times], wanted, atol=1e-6)
    first = images[0].clamp(0, 1).permute(1, 2, 0).squeeze(-1)
    np.testing.assert_allclose(found[: 3 * times : times, : 4 * times : times], first, atol=0.502 / 255)
    if count == 5:
        assert (found[3 * times :, 8 * times :] == 1).all()


def test_images_wider_than_a_picture_stay_as_they_are(tmp_path: Path) -> None:
    assert matplotlib.image.imread(write_png(torch.zeros(1, 1, 2, 1000), tmp_path / "x.png")).shape == (2, 1000)


def test_what_cannot_be_drawn_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(symsi.SymsiError, match="only images"):
        write_png(torch.zeros(2, 2, 3, 3), tmp_path / "x.png")
    with pytest.raises(symsi.SymsiError, match="suffix must be one of"):
        write_png(torch.zeros(2, 1, 3, 3), tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())
    (tmp_path / "x.png").write_text("mine")
    with pytest.raises(symsi.SymsiError, match="exists"):
        write_png(torch.zeros(2, 1, 3, 3), tmp_path / "x.png")
    assert write_png(torch.zeros(2, 1, 3, 3), tmp_path / "x.png", force=True).read_bytes().startswith(b"\x89PNG")


def test_sampling_and_its_command_load_no_drawing_library_and_a_net_no_compiler(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['symsi', 'sample', 'x.png', '--count', '2', '--steps', '1']\n"
        "from symsi.cli import main\n"
        "main()\n"
        "heavy = {'matplotlib', 'torch.fx.experimental.symbolic_shapes', 'torch._dynamo'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert matplotlib.image.imread(tmp_path / "x.png").shape == (28 * 16, 56 * 16)
