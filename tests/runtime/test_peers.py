"""Processes that watch each other; each is a thread here."""

import collections
from concurrent import futures
import select
import socket
import threading
import time

import jax
import pytest

from rvm_jax.runtime import ending
from rvm_jax.runtime import links as links_lib
from rvm_jax.runtime import peers as peers_lib
from rvm_jax.runtime import stops

# A thread plays a process. Where that would call `os._exit`, the thread ends by
# an exception that nothing catches.
pytestmark = pytest.mark.filterwarnings(
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)


def member(process):
  return links_lib.Member(process, f'host{process}', 100 + process)


class Run:
  """Connected processes; records how `end_now` ended some of them.

  Attributes:
    ended: exit code and line of each process that `end_now` has ended.
    peers: the `Peers` of the processes that were started.
    near: links of process 0, with the members at their other ends.
    far: links of processes 1, 2 and so on to process 0.
  """

  def __init__(self, count):
    self.ended = {}
    self.threads = {}
    self.peers = []
    with socket.create_server(('localhost', 0)) as server:
      address = server.getsockname()
      pairs = []
      for _ in range(count - 1):
        far = socket.create_connection(address)
        pairs.append((server.accept()[0], far))
    self.near = {
        links_lib.Link(pair[0]): member(i) for i, pair in enumerate(pairs, 1)
    }
    self.far = [links_lib.Link(pair[1]) for pair in pairs]

  def start(self, process):
    links = {self.far[process - 1]: member(0)} if process else self.near
    found = peers_lib.Peers(member(process), links, len(self.far) + 1)
    self.threads[found._thread] = process
    self.peers.append(found)
    return found

  def end_now(self, code, line):
    self.ended[self.threads[threading.current_thread()]] = code, line
    raise SystemExit

  def wait_for(self, *processes):
    """Waits until `end_now` has ended these alone; returns their lines."""
    end = time.monotonic() + 30
    while time.monotonic() < end and not self.ended.keys() >= set(processes):
      time.sleep(0.05)
    assert sorted(self.ended) == sorted(processes)
    assert {code for code, _ in self.ended.values()} == {76}
    return {line for _, line in self.ended.values()}


@pytest.fixture
def make_run(monkeypatch):
  """Returns a function that connects a number of processes."""
  monkeypatch.setattr(peers_lib, '_LINGER_SECONDS', 0.5)
  runs = []

  def make(count):
    run = Run(count)
    monkeypatch.setattr(ending, 'end_now', run.end_now)
    runs.append(run)
    return run

  yield make
  for run in runs:
    for peers in run.peers:
      peers._is_over = True
      peers._thread.join(10)
    for link in [*run.near, *run.far]:
      link.close()


def start(function, *args):
  """Calls a function in a thread, which may never end; returns its future."""
  future = futures.Future()

  def call():
    try:
      future.set_result(function(*args))
    except BaseException as error:  # noqa: BLE001
      future.set_exception(error)

  threading.Thread(target=call, daemon=True).start()
  return future


def leave(peers, error=None):
  with peers:
    if error:
      raise error


def test_one_process_is_always_in_agreement():
  with peers_lib.Peers(member(0), {}, 1) as peers:
    peers.agree({'a': '1'})


def test_processes_agree_and_leave_together(make_run):
  run = make_run(3)
  all_peers = [run.start(i) for i in range(3)]
  for facts in {'a': '1'}, {'b': '2'}:
    for future in [start(peers.agree, facts) for peers in all_peers]:
      assert future.result(30) is None
  left = [start(leave, peers) for peers in all_peers[1:]]
  time.sleep(0.5)
  assert not any(future.done() for future in left)
  leave(all_peers[0])
  assert [future.result(30) for future in left] == [None, None]
  assert not run.ended


def test_difference_is_raised_everywhere(make_run):
  run = make_run(2)
  values = [
      start(run.start(i).agree, {'config.seed': str(i)}) for i in range(2)
  ]
  for future in values:
    with pytest.raises(ValueError, match='config.seed: process 0 has 0, pro'):
      future.result(30)


@pytest.mark.parametrize('lost, left', [(1, [0, 2]), (0, [1, 2])])
def test_lost_process_ends_the_others_at_once(make_run, lost, left):
  run = make_run(3)
  for process in left:
    run.start(process)
  before = time.monotonic()
  for link in [run.far[0]] if lost else run.near:
    link.close()
  assert run.wait_for(*left) == {
      f'{member(lost)} is lost: its connection was closed'
  }
  assert time.monotonic() - before < 10


def test_silent_process_is_lost(make_run, monkeypatch):
  monkeypatch.setattr(peers_lib, 'BEAT_SECONDS', 0.2)
  monkeypatch.setattr(peers_lib, 'SILENCE_SECONDS', 1.5)
  run = make_run(3)
  for process in (0, 2):
    run.start(process)
  lines = run.wait_for(0, 2)
  assert lines == {f'{member(1)} is lost: no sign of life for 1.5 s'}


def test_failed_process_ends_the_others_with_its_error(make_run, monkeypatch):
  monkeypatch.setattr(peers_lib, '_OWN_ERROR_SECONDS', 0.2)
  run = make_run(3)
  for process in (0, 2):
    run.start(process)
  failed = start(leave, run.start(1), OSError('disk\nfull'))
  with pytest.raises(OSError, match='full'):
    failed.result(30)
  assert run.wait_for(0, 2) == {f'{member(1)} failed: disk full'}


def test_error_of_all_processes_is_raised_in_each_of_them(make_run):
  run = make_run(2)
  for future in [
      start(leave, run.start(i), ValueError('mistake')) for i in (1, 0)
  ]:
    with pytest.raises(ValueError, match='mistake'):
      future.result(30)
  assert not run.ended


@pytest.mark.parametrize(
    'error',
    [
        jax.errors.JaxRuntimeError('Gloo: closed'),
        ValueError('UNKNOWN: Gloo AllGather failed'),
    ],
)
def test_error_of_jax_before_the_news_of_a_loss_is_its_echo(make_run, error):
  run = make_run(2)
  peers = run.start(0)
  echo = start(leave, peers, error)
  time.sleep(0.3)
  assert not echo.done()
  run.far[0].close()
  (line,) = run.wait_for(0)
  assert line.startswith(f'{member(1)} is lost')
  assert not echo.done()


def test_any_error_at_the_moment_of_a_loss_is_its_echo(make_run, monkeypatch):
  monkeypatch.setattr(peers_lib, '_MOMENT', 20.0)
  run = make_run(2)
  echo = start(leave, run.start(0), OSError('barrier'))
  run.far[0].close()
  (line,) = run.wait_for(0)
  assert line.startswith(f'{member(1)} is lost')
  assert not echo.done()


def test_error_of_jax_without_a_loss_is_told(make_run, monkeypatch):
  monkeypatch.setattr(peers_lib, '_ECHO_SECONDS', 0.2)
  run = make_run(2)
  run.start(0)
  failed = start(leave, run.start(1), jax.errors.JaxRuntimeError('broken'))
  with pytest.raises(jax.errors.JaxRuntimeError):
    failed.result(30)
  (line,) = run.wait_for(0)
  assert line == f'{member(1)} failed: broken'


def test_error_while_closing_is_not_the_one_that_is_raised(make_run):
  run = make_run(2)
  run.start(0)

  def fail(peers):
    with peers:
      try:
        raise OSError('disk full')
      except OSError as error:
        peers.tell(error)
        raise ValueError('cannot close') from error

  failed = start(fail, run.start(1))
  with pytest.raises(OSError, match='disk full'):
    failed.result(30)
  assert run.wait_for(0) == {f'{member(1)} failed: disk full'}


def test_closing_does_not_wait_for_ever_for_those_who_have_gone(
    make_run, monkeypatch
):
  monkeypatch.setattr(peers_lib, '_OWN_ERROR_SECONDS', 0.2)
  monkeypatch.setattr(peers_lib, '_ALONE_SECONDS', 0.2)
  run = make_run(2)
  run.start(0)
  run.start(1).tell(OSError('disk full'))
  end = time.monotonic() + 30
  while 0 not in run.ended and time.monotonic() < end:
    time.sleep(0.05)
  # The end of process 0 closes its connections.
  for link in run.near:
    link.close()
  while 1 not in run.ended and time.monotonic() < end:
    time.sleep(0.05)
  assert run.ended[1] == (1, 'error: disk full')


@pytest.mark.parametrize('error', [SystemExit(75), stops.Stopped('told to')])
def test_stop_of_all_processes_is_orderly(make_run, error):
  run = make_run(2)
  for future in [start(leave, run.start(i), error) for i in range(2)]:
    with pytest.raises(type(error)):
      future.result(30)
  assert not run.ended


def test_process_lost_after_it_was_done_is_no_loss(make_run):
  run = make_run(3)
  peers = run.start(0), run.start(1)
  run.far[1].send(done=True)
  run.far[1].close()
  for future in [start(leave, p) for p in peers]:
    assert future.result(30) is None
  assert not run.ended


def test_loss_reaches_255_others(make_run):
  run = make_run(256)
  run.start(0)
  run.far[6].close()
  waiting = set(run.far) - {run.far[6]}
  end = time.monotonic() + 30
  seen = collections.Counter()
  while waiting and time.monotonic() < end:
    for link in select.select(list(waiting), [], [], 1)[0]:
      for message in link.receive():
        if 'end' in message:
          seen[message['end']] += 1
          waiting.remove(link)
  assert seen == {f'{member(7)} is lost: its connection was closed': 254}
