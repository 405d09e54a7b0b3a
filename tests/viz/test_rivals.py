"""The gallery of a rival, and which checkpoints the command refuses."""

import pytest

from rvm_jax.viz import __main__ as command
from tests.baselines import tiny_rivals


def run(video, checkpoint, out):
  return command.main(
      [
          str(video),
          '--num_frames=5',
          '--size',
          '56',
          '84',
          f'--checkpoint={checkpoint}',
          f'--out={out}',
      ]
  )


@pytest.mark.parametrize(
    'kind, name, about',
    [
        ('dinov2', 'DINOv2 32 wide', 'each frame of each video on its own'),
        ('videomae-fair', 'VideoMAE 48 wide fair', 'clips of 6 frames'),
    ],
)
def test_page_says_how_the_rival_encodes_and_calls_it_by_name(
    kind, name, about, video, tmp_path
):
  family = kind.removesuffix('-fair')
  path = tiny_rivals.write(tmp_path / 'rival', family)
  assert run(video, f'{kind}:{path}', tmp_path / 'out') == 0
  html = (tmp_path / 'out' / 'index.html').read_text()
  assert f'{name} encoded {about}' in html
  assert f'Not available: {name} reconstructs no frames' in html
  assert 'A recurrent video masked autoencoder read' not in html
  assert f'{kind}:{path}' in html and 'decoder' not in html
  (movie,) = (tmp_path / 'out').glob('*-wide.mp4')
  assert movie.stat().st_size > 1000


def test_weights_of_another_family_are_refused(video, tmp_path, capsys):
  path = tiny_rivals.write(tmp_path / 'rival', 'dinov3')
  assert run(video, f'vjepa2:{path}', tmp_path / 'out') == 2
  assert 'weights of dinov3, not of vjepa2' in capsys.readouterr().err
  assert not (tmp_path / 'out' / 'index.html').exists()
