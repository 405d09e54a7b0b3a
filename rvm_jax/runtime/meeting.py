"""How the processes of a run find each other before JAX does.

Process 0 listens at the coordinator's address. The other processes connect to
it and say who they are, so that process 0 can name those that are missing; JAX
does not. JAX's own coordinator listens on another port of the same host.
Process 0 tells this port to the others when all have come.
"""

from collections.abc import Sequence
import contextlib
import errno
import os
import selectors
import socket
import time
from typing import Any

from rvm_jax.runtime import links as links_lib

# First message of a process of a run, which other programs do not send. The
# number is the version of the messages.
_GREETING = 'rvm_jax 1'
# Longest wait for an answer of process 0, which normally answers at once.
_ANSWER_SECONDS = 15.0
_RETRY_SECONDS = 0.3
# How long to try to listen on a port that is in use. An earlier attempt of the
# same run may need a moment to free it.
_BIND_SECONDS = 5.0

Links = dict[links_lib.Link, links_lib.Member]


def this_member(process: int) -> links_lib.Member:
  """Returns this process as a member of the run.

  Args:
    process: number of this process in the run.
  """
  return links_lib.Member(process, socket.gethostname(), os.getpid())


def gather(
    host: str, port: int, count: int, timeout: float
) -> tuple[Links, int]:
  """Waits, as process 0, until all other processes have come.

  Args:
    host: name by which the other processes know this host, for error messages.
    port: port to listen on, on all addresses of this host.
    count: number of processes of the run.
    timeout: longest wait in seconds.

  Returns:
    The links to the others, and a free port for JAX's coordinator.

  Raises:
    ValueError: the port is in use, or the processes were not started as parts
      of one run. All processes that have come raise the same error.
    TimeoutError: some processes have not come; the message names them.
  """
  deadline = time.monotonic() + timeout
  links: Links = {}
  # All connections, also those that have not said yet who they are.
  accepted: set[links_lib.Link] = set()
  with _listen(port) as listener, selectors.DefaultSelector() as selector:
    selector.register(listener, selectors.EVENT_READ)
    try:
      while len(links) < count - 1:
        left = deadline - time.monotonic()
        if left <= 0:
          raise TimeoutError(_missing(links, host, port, count, timeout))
        for key, _ in selector.select(left):
          if key.data is None:
            connection, _ = listener.accept()
            link = links_lib.Link(connection)
            accepted.add(link)
            selector.register(link, selectors.EVENT_READ, link)
          elif not _read(key.data, links, count):
            selector.unregister(key.data)
            key.data.close()
    except (ValueError, TimeoutError) as error:
      is_mistake = isinstance(error, ValueError)
      for link in links:
        link.send(refused=str(error), is_mistake=is_mistake)
      raise
  for link in accepted - links.keys():
    link.close()
  jax_port = _free_port(port + 1)
  for link in links:
    link.send(jax_port=jax_port)
  return links, jax_port


def join(
    host: str, port: int, me: links_lib.Member, count: int, timeout: float
) -> tuple[Links, int]:
  """Connects to process 0 and waits until all processes have come.

  Args:
    host: the coordinator's host.
    port: the coordinator's port.
    me: this process.
    count: number of processes of the run.
    timeout: longest wait for process 0 in seconds. Process 0 then waits as
      long for the other processes.

  Returns:
    The link to process 0, and the port of JAX's coordinator.

  Raises:
    ValueError: the processes were not started as parts of one run.
    TimeoutError: process 0 or another process has not come.
  """
  deadline = time.monotonic() + timeout
  reason = 'no answer'
  while (left := deadline - time.monotonic()) > 0:
    try:
      link = links_lib.Link(
          socket.create_connection((host, port), max(0.1, min(5.0, left)))
      )
    except OSError as error:
      reason = error.strerror or str(error)
    else:
      try:
        return _ask(link, me, count, timeout)
      except (EOFError, KeyError):
        # What answered was another program, or an earlier attempt of this run.
        reason = 'what answers is not process 0 of a run, or has ended'
        link.close()
    time.sleep(_RETRY_SECONDS)
  raise TimeoutError(
      f'process 0 did not answer at {host}:{port} within {timeout:g} s'
      f' ({reason}). Check that it has started, that --coordinator is its'
      ' address, and that no firewall is between'
  )


def _ask(
    link: links_lib.Link, me: links_lib.Member, count: int, timeout: float
) -> tuple[Links, int]:
  """Says who this process is and waits for JAX's port.

  Args:
    link: link to process 0.
    me: this process.
    count: number of processes of the run.
    timeout: longest wait of process 0 for the others, in seconds.

  Returns:
    What `join` returns.

  Raises:
    EOFError: the connection ends, or nothing answers in time.
    KeyError: what answers is not process 0 of a run.
    ValueError: process 0 has refused this process.
    TimeoutError: process 0 has waited in vain for another process.
  """
  link.send(greeting=_GREETING, member=me, count=count)
  with selectors.DefaultSelector() as selector:
    selector.register(link, selectors.EVENT_READ)
    zero = None
    end = time.monotonic() + _ANSWER_SECONDS
    while selector.select(max(0.0, end - time.monotonic())):
      for message in _receive(link):
        if 'refused' in message:
          kind = ValueError if message['is_mistake'] else TimeoutError
          raise kind(message['refused'])
        if zero is None:
          zero = links_lib.Member(*message['member'])
          # Process 0 began to wait before this process reached it. Its wait,
          # which lasts `timeout`, therefore ends first.
          end = time.monotonic() + timeout + _ANSWER_SECONDS
        else:
          return {link: zero}, message['jax_port']
  raise EOFError('no answer')


def _read(link: links_lib.Link, links: Links, count: int) -> bool:
  """Reads what another process says of itself, and answers it.

  Args:
    link: link to that process.
    links: links to the processes that have come. This link is added when the
      process introduces itself, and removed when its connection ends.
    count: number of processes of the run.

  Returns:
    False if the connection is closed, or is that of another program.

  Raises:
    ValueError: the process does not fit the run.
  """
  try:
    for message in _receive(link):
      if message['greeting'] != _GREETING:
        return False
      member = links_lib.Member(*message['member'])
      twins = [m for m in links.values() if m.process == member.process]
      links[link] = member
      link.send(member=this_member(0))
      if message['count'] != count:
        raise ValueError(
            f'--num_processes differs: {this_member(0)} has {count},'
            f' {member} has {message["count"]}'
        )
      if twins or not 0 < member.process < count:
        raise ValueError(
            f'two processes have --process_id={member.process}:'
            f' {(twins or [this_member(0)])[0]} and {member}'
        )
  except (EOFError, KeyError, TypeError):
    # This is another program, or a process that has ended. Such a process may
    # be started again, so that it is not an error.
    links.pop(link, None)
    return False
  return True


def _receive(link: links_lib.Link) -> list[dict[str, Any]]:
  """Returns what `Link.receive` does; its ValueError becomes an EOFError."""
  try:
    return link.receive()
  except ValueError as error:
    raise EOFError('another program') from error


def _missing(
    links: Links, host: str, port: int, count: int, timeout: float
) -> str:
  """Returns the message that says which processes have not come."""
  here = {member.process for member in links.values()}
  missing = [i for i in range(1, count) if i not in here]
  return (
      f'of {count} processes {len(missing)} did not come within {timeout:g} s:'
      f' {name_numbers(missing)}. Check that they have started and that they'
      f' reach {host}:{port}'
  )


def name_numbers(numbers: Sequence[int]) -> str:
  """Returns ascending numbers as a text such as '1, 3 to 5'."""
  parts: list[list[int]] = []
  for number in numbers:
    if parts and number == parts[-1][-1] + 1:
      parts[-1].append(number)
    else:
      parts.append([number])
  return ', '.join(
      str(part[0]) if len(part) == 1 else f'{part[0]} to {part[-1]}'
      for part in parts
  )


def _listen(port: int) -> socket.socket:
  """Returns a socket that listens on all addresses of this host."""
  end = time.monotonic() + _BIND_SECONDS
  while True:
    try:
      return _bind(port)
    except OSError as error:
      if error.errno != errno.EADDRINUSE or time.monotonic() > end:
        raise ValueError(
            f'process 0 cannot listen on port {port} of --coordinator:'
            f' {error.strerror}'
        ) from error
    time.sleep(_RETRY_SECONDS)


def _bind(port: int) -> socket.socket:
  try:
    return socket.create_server(
        ('', port), family=socket.AF_INET6, backlog=512, dualstack_ipv6=True
    )
  except OSError as error:
    if error.errno == errno.EADDRINUSE:
      raise
  except ValueError:
    # This machine has no IPv6.
    pass
  return socket.create_server(('', port), backlog=512)


def _free_port(preferred: int) -> int:
  """Returns the preferred port if it is free, else any free port.

  A port that is known in advance can be opened in a firewall.
  """
  if preferred < 2**16:
    with contextlib.suppress(OSError), _bind(preferred):
      return preferred
  with _bind(0) as listener:
    return listener.getsockname()[1]
