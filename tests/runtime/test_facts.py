"""What all processes must have in common."""

import ml_collections

from rvm_jax.runtime import facts


def test_facts_hold_config_code_and_workdir(tmp_path):
  config = ml_collections.ConfigDict({'data': {'sources': ('a',)}, 'seed': 1})
  found = facts.of_run(config, tmp_path)
  assert found['config.data.sources'] == "['a']"
  assert found['config.seed'] == '1'
  assert found['--workdir'] == str(tmp_path)
  assert 'version of jax' in found
  assert len(found['rvm_jax/training/step.py']) == 16


def test_compare_of_equal_facts_is_empty():
  assert not facts.compare({0: {'a': '1'}, 1: {'a': '1'}})


def test_compare_names_both_values_and_processes():
  line = facts.compare({0: {'config.rate': '0.1'}, 1: {'config.rate': '0.2'}})
  assert line == (
      'the processes of the run differ in config.rate: process 0 has 0.1,'
      ' process 1 has 0.2'
  )


def test_compare_counts_processes_and_differences():
  everywhere = {i: {'a': '1', 'b': '2', 'c': '3', 'd': '4'} for i in range(5)}
  everywhere[3] = {'b': '5', 'c': '6', 'd': '7'}
  everywhere[4] = {'a': '1', 'b': '5', 'c': '6', 'd': '7'}
  line = facts.compare(everywhere)
  assert (
      'a: process 0 (and 3 others) has 1, process 3 has nothing; b: process 0'
      ' (and 2 others) has 2, process 3 (and 1 other) has 5; c: '
  ) in line
  assert line.endswith('; and 1 more')
