"""Made-up lines of ledgers, for tests of what reads ledgers."""

HARDWARE = dict(devices=4, device_kind='TPU v4', flops=None, peak=None)


class Writer:
  """Makes lines as `training.ledger` writes them, from time 1000 on."""

  def __init__(self):
    self.now = 1000.0
    self.lines = []

  def add(self, event, step, seconds=0.0, **more):
    self.now += seconds
    timed = {} if event == 'end' else {'seconds': seconds}
    line = {'event': event, 'time': self.now, 'step': step}
    self.lines.append(line | timed | more)

  def start(self, step, **more):
    self.add('start', step, seconds=10, **(HARDWARE | more))

  def steps(self, first, last, seconds, data_wait=0.0):
    self.add('steps', last, seconds, **{'from': first}, data_wait=data_wait)
