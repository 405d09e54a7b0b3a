"""The cycles of Pallas kernels are those of the kernels alone."""

from rvm_jax.training.plan import kernels


def test_bundles_of_copies_and_of_added_programs_are_left_out(tmp_path):
  end = 'final_hlo-static-per-bundle-utilization.txt'
  for name, count in (
      ('ffi_call.1-70', 3),
      ('copy-64', 50),
      ('copy.3-65', 60),
      ('TLP-71', 70),
      ('<late-finalization>-66', 80),
  ):
    text = 'head\n== UTILIZATION:\n' + 'bundle\n' * count
    (tmp_path / f'17956-{name}-{end}').write_text(text)
  assert kernels.count_bundles(tmp_path) == 3
