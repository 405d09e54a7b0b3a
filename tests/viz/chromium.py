"""Drives a headless Chromium over a pipe by the DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time

PATH = shutil.which('chromium')

_FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
    '--remote-debugging-pipe',
)


class Page:
  """A page in a browser of its own, which ends with the `with` block.

  Attributes:
    requests: URLs that the page has requested, in order.
    errors: exceptions that the page's scripts have raised.
  """

  def __init__(self, profile, timeout=120):
    """Starts the browser.

    Args:
      profile: empty folder for the browser's files.
      timeout: seconds that a command may take.
    """
    self.requests, self.errors = [], []
    self._timeout = timeout
    self._number = 0
    self._session = None
    # The browser reads commands from descriptor 3 and answers on 4.
    commands, self._commands = os.pipe()
    self._answers, answers = os.pipe()
    self._process = subprocess.Popen(
        [
            'bash',
            '-c',
            f'exec "$@" 3<&{commands} 4>&{answers}',
            'bash',
            PATH,
            *_FLAGS,
            f'--user-data-dir={profile}',
        ],
        pass_fds=[commands, answers],
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    os.set_blocking(self._answers, False)
    self._buffer = b''
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = self.call(
        'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    for domain in ('Page', 'Network', 'Runtime'):
      self.call(f'{domain}.enable')

  def __enter__(self):
    return self

  def __exit__(self, *error):
    # The browser ends by itself when its commands end.
    os.close(self._commands)
    try:
      self._process.wait(timeout=10)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    os.close(self._answers)

  def call(self, method, **params):
    """Sends a DevTools command and returns its result."""
    self._number += 1
    message = {'id': self._number, 'method': method, 'params': params}
    if self._session:
      message['sessionId'] = self._session
    os.write(self._commands, json.dumps(message).encode() + b'\0')
    deadline = time.monotonic() + self._timeout
    while True:
      answer = self._receive(deadline)
      if answer.get('id') == self._number:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']
      self._note(answer)

  def show(self, url, width, height, scheme='light'):
    """Opens `url` in a window of the given size and waits for its load."""
    self.call(
        'Emulation.setDeviceMetricsOverride',
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    self.call(
        'Emulation.setEmulatedMedia',
        features=[{'name': 'prefers-color-scheme', 'value': scheme}],
    )
    self.call('Page.navigate', url=url)
    self.run("""new Promise(done => document.readyState == 'complete'
        ? done() : addEventListener('load', done))""")

  def run(self, script):
    """Evaluates a script, awaits its promise, and returns its value."""
    answer = self.call(
        'Runtime.evaluate',
        expression=script,
        awaitPromise=True,
        returnByValue=True,
        userGesture=False,
    )
    if 'exceptionDetails' in answer:
      raise RuntimeError(answer['exceptionDetails']['exception'])
    return answer['result'].get('value')

  def screenshot(self):
    """Returns a PNG of the whole page, not only of what the window shows."""
    size = self.call('Page.getLayoutMetrics')['cssContentSize']
    data = self.call(
        'Page.captureScreenshot',
        captureBeyondViewport=True,
        clip=size | {'x': 0, 'y': 0, 'scale': 1},
    )['data']
    return base64.b64decode(data)

  def _receive(self, deadline):
    while b'\0' not in self._buffer:
      if time.monotonic() > deadline or self._process.poll() is not None:
        raise RuntimeError('the browser does not answer')
      try:
        self._buffer += os.read(self._answers, 1 << 20)
      except BlockingIOError:
        time.sleep(0.01)
    message, self._buffer = self._buffer.split(b'\0', 1)
    return json.loads(message)

  def _note(self, event):
    if event.get('method') == 'Network.requestWillBeSent':
      self.requests.append(event['params']['request']['url'])
    elif event.get('method') == 'Runtime.exceptionThrown':
      self.errors.append(event['params']['exceptionDetails'])
