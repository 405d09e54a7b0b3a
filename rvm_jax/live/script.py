"""Script of the page, which asks the server for frames and draws the tracks."""

SCRIPT = """
const find = id => document.getElementById(id);
const stages = [...document.querySelectorAll('.stage')];
const sleep = time => new Promise(done => setTimeout(done, time));

let view = null;  // The server's last answer.
let playing = false;
let run = 0;  // Number of the loop that plays: a new one ends the old one.
let pressed = 0;  // Number of the frame on which the pointer went down.
let aim = null;  // Where the ring is, in pixels of the frame.
let shown = [];  // When the last frames were shown, in milliseconds.

// Questions are asked one at a time, so that answers come in their order.
let queue = Promise.resolve();
function ask(path, body = {}) {
  const answer = queue.then(async () => {
    const response = await fetch(path, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(body),
    }).catch(() => {
      throw Error('The program has ended. Start it again and open its page.');
    });
    const answer = await response.json();
    if (!response.ok) throw Error(answer.error);
    return answer;
  });
  queue = answer.catch(() => {});
  return answer;
}

// Asks, and shows the answer or what is wrong.
async function act(path, body) {
  try {
    show(await ask(path, body));
    return true;
  } catch (error) {
    find('message').textContent = error.message;
    return false;
  }
}

function show(answer) {
  const isNew = !view || answer.number != view.number;
  view = answer;
  const [height, width] = view.size;
  const style = document.documentElement.style;
  style.setProperty('--shape', `${width} / ${height}`);
  style.setProperty('--ratio', width / height);
  aim = aim || [width / 2, height / 2];
  document.querySelector('.video').src = view.picture;
  document.querySelector('.patches').src = view.components;
  for (const stage of stages) draw(stage.querySelector('svg'), width, height);
  find('number').textContent = view.number;
  if (isNew) find('milliseconds').textContent = view.milliseconds.toFixed(0);
  find('tracks').replaceChildren(...view.tracks.map((track, i) => {
    const item = document.createElement('li');
    const dot = document.createElement('i');
    dot.style.background = track.color;
    const place = track.x === null ? 'not seen'
        : `at ${track.x.toFixed(0)}, ${track.y.toFixed(0)}`;
    item.append(dot, `${i + 1}: ${place}`);
    return item;
  }));
  if (view.has_ended) stop();
  find('message').textContent = view.has_ended
      ? `The video has ended. ${view.note}` : '';
}

function element(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, value);
  return made;
}

function draw(svg, width, height) {
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const size = Math.max(width, height) / 40;
  const marks = svg.querySelector('g');
  marks.replaceChildren();
  view.tracks.forEach(({x, y, color}, i) => {
    if (x === null) return;
    const d = `M${x - size} ${y}h${2 * size}M${x} ${y - size}v${2 * size}`;
    const text = element('text', {
      x: x + size / 2, y: y - size / 2, 'font-size': 1.6 * size,
    });
    text.textContent = i + 1;
    marks.append(element('path', {d, class: 'halo'}),
                 element('path', {d, class: 'cross', stroke: color}), text);
  });
  const [x, y] = aim;
  svg.querySelector('.aim').setAttribute('d', `M${x - size} ${y}` +
      `a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ` +
      `${-2 * size} 0`);
}

function stop() {
  playing = false;
  find('play').textContent = 'Play';
  find('rate').textContent = '–';
}

// Plays a file at its own speed where the model is fast enough.
async function play() {
  const mine = ++run;
  playing = true;
  shown = [];
  find('play').textContent = 'Pause';
  let due = 0;
  while (true) {
    await sleep(due - performance.now());
    if (!playing || mine != run) return;
    const asked = performance.now();
    const before = view && view.time;
    if (!await act('/frame', {after: view ? view.number : -1})) return stop();
    if (!playing || mine != run) return;
    shown = [...shown.slice(-20), performance.now()];
    const seconds = (shown.at(-1) - shown[0]) / 1000;
    if (seconds > 0)
      find('rate').textContent = ((shown.length - 1) / seconds).toFixed(1);
    const wait = before === null || view.time === null ? 0 : view.time - before;
    due = asked + 1000 * Math.min(Math.max(wait, 0), 1);
  }
}

async function step() {
  stop();
  await act('/frame', {after: view ? view.number : -1});
}

async function restart() {
  stop();
  if (await act('/restart')) play();
}

const actions = {
  play: () => playing ? stop() : play(),
  step,
  clear: () => act('/clear'),
  recolour: () => act('/recolour'),
  restart,
};
const keys = {' ': 'play', s: 'step', c: 'clear', n: 'recolour', r: 'restart'};
const moves = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};
for (const [id, action] of Object.entries(actions))
  find(id).addEventListener('click', action);

addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = actions[keys[event.key.toLowerCase()]];
  // Space on a button presses the button.
  if (!action || event.key == ' ' && event.target.tagName == 'BUTTON') return;
  event.preventDefault();
  action();
});

for (const stage of stages) {
  stage.addEventListener('pointerdown', () => {
    pressed = view ? view.number : 0;
  });
  stage.addEventListener('click', event => {
    if (!view) return;
    const [height, width] = view.size;
    const box = stage.getBoundingClientRect();
    act('/click', {
      x: (event.clientX - box.left) / box.width * width,
      y: (event.clientY - box.top) / box.height * height,
      number: pressed,
    });
  });
  stage.addEventListener('keydown', event => {
    if (!view) return;
    const [height, width] = view.size;
    if (event.key == 'Enter') {
      act('/click', {x: aim[0], y: aim[1], number: view.number});
    } else if (event.key in moves) {
      event.preventDefault();
      const [x, y] = moves[event.key];
      aim = [
        Math.min(Math.max(aim[0] + x * view.patch, 0), width - 1),
        Math.min(Math.max(aim[1] + y * view.patch, 0), height - 1),
      ];
      for (const s of stages) draw(s.querySelector('svg'), width, height);
    }
  });
}

play();
"""
