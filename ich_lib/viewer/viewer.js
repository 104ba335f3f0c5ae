// Shows one payload of ich_lib.viewer. Gradio calls this once, with `element`, `props` and `watch`.
// Order: state, decoding, drawing, the report beside the picture, what the hand does, start.

const at = (selector) => element.querySelector(selector);
const root = at(".viewer"), stage = at(".stage"), picture = at(".picture"), position = at(".position");
const layers = { ct: at("canvas.ct"), heat: at("canvas.heat"), marks: at("canvas.marks"), strip: at(".strip canvas") };
const box = (name) => at('.layers input[name="' + name + '"]');

const YELLOW = "#F0E442"; // with a black halo it is told from brain and from blood; no hue alone is
const INFERNO = "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"
  .split(" ").map((hex) => [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));
const HEAT_OPACITY = 0.65;

let scan = null; // the payload
let slices = []; // one promise of {values, blood, heat} per slice, once it was asked for
let index = 0, shown = -1, look = null, grays = null;

// ---- decoding -----------------------------------------------------------------------------------------------------

async function inflated(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The inverse of ich_lib.viewer.pack: each pixel is the mean of its left and upper neighbor plus what was sent.
function unguessed(planes, rows, columns) {
  const size = rows * columns, values = new Uint16Array(size);
  for (let y = 0, n = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, n++) {
      const left = x ? values[n - 1] : 0, up = y ? values[n - columns] : 0;
      const zigzag = (planes[n] << 8) | planes[size + n];
      values[n] = ((left + up) >> 1) + ((zigzag >>> 1) ^ -(zigzag & 1));
    }
  }
  return values;
}

function decoded(k) {
  const from = scan;
  slices[k] ??= Promise.all([inflated(from.slices[k]), inflated(from.heat[k])]).then(([planes, heat]) => ({
    values: unguessed(planes, from.rows, from.columns),
    blood: planes.subarray(2 * from.rows * from.columns),
    heat,
  }));
  return slices[k];
}

async function decodeAll() {
  const from = scan;
  const order = from.slices.map((_, k) => k).sort((a, b) => Math.abs(a - from.start) - Math.abs(b - from.start));
  for (const k of order) {
    if (scan !== from) return;
    await decoded(k);
  }
  root.dataset.decoded = "all";
}

// ---- drawing ------------------------------------------------------------------------------------------------------

// What the file stores, through scale, offset and window, to opaque gray.
function setWindow(level, width, name) {
  look = { level, width, name };
  grays = new Uint32Array(65536);
  const low = level - width / 2;
  for (let value = 0; value < 65536; value++) {
    const gray = Math.round(Math.min(Math.max((value * scan.scale + scan.offset - low) / width, 0), 1) * 255);
    grays[value] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
  }
  root.dataset.window = name;
  for (const button of at(".windows").children) button.setAttribute("aria-pressed", button.dataset.name === name);
}

function drawCt(slice) {
  const image = new ImageData(scan.columns, scan.rows), pixels = new Uint32Array(image.data.buffer);
  for (let n = 0; n < pixels.length; n++) pixels[n] = grays[slice.values[n]];
  layers.ct.getContext("2d").putImageData(image, 0, 0);
}

function inferno(share) {
  const place = share * (INFERNO.length - 1), k = Math.min(Math.floor(place), INFERNO.length - 2), rest = place - k;
  return INFERNO[k].map((low, channel) => low + (INFERNO[k + 1][channel] - low) * rest);
}

function drawHeat(slice) {
  layers.heat.hidden = !box("heat").checked;
  at(".legend").hidden = layers.heat.hidden;
  if (layers.heat.hidden) return;
  const [rows, columns] = scan.heat_size, image = new ImageData(columns, rows);
  for (let n = 0; n < slice.heat.length; n++) {
    const share = slice.heat[n] / 255; // no evidence is no color: the lowest fifth fades in
    image.data.set([...inferno(share), 255 * HEAT_OPACITY * Math.min(share * 5, 1)], 4 * n);
  }
  layers.heat.width = columns;
  layers.heat.height = rows;
  layers.heat.getContext("2d").putImageData(image, 0, 0);
}

// The border of `blood >= threshold` as closed loops: marching squares, between the centers of pixels.
// Each cell of four centers joins edges so that blood lies on the left; so every edge has one way in and one way out.
const TURNS = ["", "BL", "RB", "RL", "TR", "TRBL", "TB", "TL", "LT", "BT", "LTRB", "RT", "LR", "BR", "LB", ""];

function border(blood, rows, columns, threshold) {
  const level = (x, y) => (x < 0 || y < 0 || x >= columns || y >= rows ? 0 : blood[y * columns + x]);
  const wide = columns + 3, next = new Map(), place = new Map();
  const edge = (side, x, y) => { // one number per edge, and the point on it where the level is crossed
    const down = side === "L" || side === "R"; // from a center to the one below, else to the one on its right
    if (side === "R") x += 1;
    if (side === "B") y += 1;
    const id = 2 * ((y + 1) * wide + x + 1) + (down ? 1 : 0);
    if (!place.has(id)) {
      const a = level(x, y), b = down ? level(x, y + 1) : level(x + 1, y), along = (threshold - 0.5 - a) / (b - a);
      place.set(id, down ? [x + 0.5, y + 0.5 + along] : [x + 0.5 + along, y + 0.5]);
    }
    return id;
  };
  for (let y = -1; y < rows; y++) {
    for (let x = -1; x < columns; x++) {
      const turns = TURNS[(level(x, y) >= threshold) * 8 + (level(x + 1, y) >= threshold) * 4 +
        (level(x + 1, y + 1) >= threshold) * 2 + (level(x, y + 1) >= threshold) * 1];
      for (let t = 0; t < turns.length; t += 2) next.set(edge(turns[t], x, y), edge(turns[t + 1], x, y));
    }
  }
  const path = new Path2D();
  while (next.size) {
    const first = next.keys().next().value;
    path.moveTo(...place.get(first));
    for (let id = next.get(first), last = first; id !== undefined; last = id, id = next.get(id)) {
      next.delete(last);
      if (id === first) break;
      path.lineTo(...place.get(id));
    }
    path.closePath();
  }
  return path;
}

function drawMarks(slice) {
  const sharp = window.devicePixelRatio || 1;
  layers.marks.width = Math.round(picture.clientWidth * sharp);
  layers.marks.height = Math.round(picture.clientHeight * sharp);
  const brush = layers.marks.getContext("2d");
  slice.border ??= border(slice.blood, scan.rows, scan.columns, scan.threshold);
  const path = new Path2D();
  path.addPath(slice.border, new DOMMatrix([layers.marks.width / scan.columns, 0, 0, layers.marks.height / scan.rows, 0, 0]));
  if (box("fill").checked) {
    brush.globalAlpha = box("opacity").value / 100;
    brush.fillStyle = YELLOW;
    brush.fill(path, "evenodd");
    brush.globalAlpha = 1;
  }
  if (box("outline").checked) {
    brush.lineJoin = "round";
    for (const [color, width] of [["#000000", 5], [YELLOW, 2]]) {
      brush.strokeStyle = color;
      brush.lineWidth = width * sharp;
      brush.stroke(path);
    }
  }
}

function drawStrip() {
  const canvas = layers.strip, sharp = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * sharp);
  canvas.height = Math.round(canvas.clientHeight * sharp);
  const brush = canvas.getContext("2d"), count = scan.slices.length, step = canvas.width / count;
  const scores = scan.report.scores[0].slices, foot = canvas.height - 6 * sharp;
  for (let k = 0; k < count; k++) {
    const tall = Math.max(scores[k] * foot, sharp), gap = step > 4 * sharp ? sharp : 0;
    brush.fillStyle = "#ffffff33";
    if (k === index) brush.fillRect(k * step, 0, step - gap, canvas.height);
    brush.fillStyle = k === index ? "#ffffff" : "#7d8a99";
    brush.fillRect(k * step, foot - tall, step - gap, tall);
    if (scan.marked[k]) {
      brush.fillStyle = YELLOW;
      brush.fillRect(k * step, foot + 2 * sharp, step - gap, 4 * sharp);
    }
  }
  brush.fillStyle = "#ffffff99";
  brush.fillRect(0, foot - scan.report.score_threshold * foot, canvas.width, sharp);
}

function drawScale() {
  at(".bar").hidden = !scan.pixel_mm;
  if (!scan.pixel_mm) return;
  const across = scan.pixel_mm[1] * scan.columns, mm = [100, 50, 20, 10, 5].find((length) => length <= across / 4) ?? 1;
  at(".bar i").style.width = (100 * mm) / across + "%";
  at(".bar span").textContent = mm >= 10 ? mm / 10 + " cm" : mm + " mm";
}

async function draw() {
  const from = scan, k = index;
  const slice = await decoded(k);
  if (scan !== from || index !== k) return;
  drawCt(slice);
  drawHeat(slice);
  drawMarks(slice);
  shown = k;
  root.dataset.slice = k + 1;
  root.dataset.ready = "yes";
}

function go(k) {
  if (!scan) return;
  index = Math.min(Math.max(k, 0), scan.slices.length - 1);
  const words = "Slice " + (index + 1) + " of " + scan.slices.length;
  position.value = index + 1;
  position.setAttribute("aria-valuetext", words + (scan.marked[index] ? ", blood marked" : ""));
  at(".where").textContent = words;
  drawStrip();
  fillSliceScores();
  draw();
}

// ---- the report beside the picture: text goes in as text, never as markup ------------------------------------------

const percent = (share) => Math.round(100 * share) + " %";

function made(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function fillReport(report) {
  for (const name of ["origin", "sentence", "volume"]) at("." + name).textContent = report[name];
  at(".models").textContent = "Model: " + report.models.join(", ");
  at(".cut").textContent = percent(report.score_threshold);
  at(".scores tbody").replaceChildren(...report.scores.map((score) => {
    const row = made("tr"), head = made("th", score.name), cell = made("td", undefined, "bars");
    const track = made("div", undefined, "track"), bar = made("i", undefined, "value"), cut = made("i", undefined, "cut-line");
    head.scope = "row";
    bar.style.width = 100 * score.scan + "%";
    bar.style.background = score.color;
    cut.style.left = 100 * report.score_threshold + "%";
    track.append(bar, cut);
    cell.append(track);
    row.append(head, cell, made("td", percent(score.scan), "of-scan"), made("td", "", "of-slice"));
    return row;
  }));
  at(".warnings ul").replaceChildren(...report.warnings.map((text) => made("li", text)));
  at(".warnings").hidden = !report.warnings.length;
  at(".report").hidden = false;
}

function fillSliceScores() {
  element.querySelectorAll(".of-slice").forEach((cell, row) => {
    cell.textContent = percent(scan.report.scores[row].slices[index]);
  });
}

function fillWindows() {
  at(".windows").replaceChildren(...scan.windows.map(({ name, level, width }, k) => {
    const button = made("button");
    button.type = "button";
    button.dataset.name = name;
    button.append(made("span", name), made("small", level + " / " + width));
    button.title = scan.hu_known
      ? "Level " + level + " HU, width " + width + " HU. Key " + (k + 1)
      : "HU are unknown in this picture: tell which window it was made with, and it can be shown in others.";
    button.disabled = !scan.hu_known;
    button.addEventListener("click", () => choose(k));
    return button;
  }));
}

// ---- what the hand does -------------------------------------------------------------------------------------------

function choose(k) {
  if (!scan || !scan.windows[k] || (k && !scan.hu_known)) return;
  setWindow(scan.windows[k].level, scan.windows[k].width, scan.windows[k].name);
  draw();
}

function toggle(name) {
  box(name).checked = !box(name).checked;
  draw();
}

const KEYS = { // up is towards the head, on the slider too
  ArrowUp: () => go(index + 1), ArrowRight: () => go(index + 1), PageUp: () => go(index + 5), End: () => go(Infinity),
  ArrowDown: () => go(index - 1), ArrowLeft: () => go(index - 1), PageDown: () => go(index - 5), Home: () => go(0),
  1: () => choose(0), 2: () => choose(1), 3: () => choose(2),
  o: () => toggle("outline"), f: () => toggle("fill"), h: () => toggle("heat"),
};

let rested = false;
at(".desk").addEventListener("pointerenter", () => (rested = true));
at(".desk").addEventListener("pointerleave", () => (rested = false));

// Keys work while the viewer has the focus, and while the pointer rests on it and nothing else has the focus.
function onKey(event) {
  const inside = element.contains(document.activeElement), free = document.activeElement === document.body;
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!scan || !act || event.ctrlKey || event.metaKey || event.altKey || event.target === box("opacity")) return;
  if (!inside && !(free && rested)) return;
  event.preventDefault();
  act();
}

let turned = 0;
function onWheel(event) {
  if (!scan || event.ctrlKey) return; // ctrl + wheel zooms the page
  event.preventDefault();
  stage.focus({ preventScroll: true }); // so that the arrow keys follow
  turned -= event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY;
  const steps = Math.trunc(turned / 40); // a notch of a wheel is 100 or 120, a touch pad sends many small ones
  if (!steps) return;
  turned = 0;
  go(index + Math.sign(steps) * Math.max(1, Math.round(Math.abs(steps) / 3)));
}

function onStrip(event) {
  const place = layers.strip.getBoundingClientRect();
  go(Math.floor(((event.clientX - place.left) / place.width) * scan.slices.length));
}

stage.addEventListener("wheel", onWheel, { passive: false });
position.addEventListener("input", () => go(position.value - 1));
at(".strip").addEventListener("pointerdown", (event) => scan && onStrip(event));
at(".strip").addEventListener("pointermove", (event) => scan && event.buttons && onStrip(event));
for (const name of ["outline", "fill", "heat"]) box(name).addEventListener("change", () => scan && draw());
box("opacity").addEventListener("input", () => {
  at(".amount output").textContent = box("opacity").value + " %";
  if (scan) draw();
});
document.addEventListener("keydown", onKey);
new ResizeObserver(() => scan && shown >= 0 && (drawStrip(), draw())).observe(picture);

// ---- start --------------------------------------------------------------------------------------------------------

function open(payload) {
  if (!payload || !payload.slices) return;
  if (scan && stage.getBoundingClientRect().bottom < 0) root.scrollIntoView(); // on a phone the upload box is below
  scan = JSON.parse(JSON.stringify(payload)); // Gradio's is a proxy, slow to read
  slices = [];
  index = scan.start;
  shown = -1;
  root.dataset.ready = "no";
  root.dataset.decoded = "some";
  layers.ct.width = scan.columns;
  layers.ct.height = scan.rows;
  const [tall, wide] = scan.pixel_mm ?? [1, 1];
  picture.style.setProperty("--shape", (scan.columns * wide) / (scan.rows * tall));
  for (const side of ["top", "bottom", "left", "right"]) at(".letter." + side).textContent = scan.letters[side];
  at(".badge").hidden = scan.hu_known;
  at(".wait").hidden = true;
  position.max = scan.slices.length;
  root.dataset.alone = scan.slices.length === 1;
  fillWindows();
  fillReport(scan.report);
  drawScale();
  setWindow(scan.windows[0].level, scan.windows[0].width, scan.windows[0].name);
  go(scan.start);
  decodeAll();
}

watch("value", () => open(props.value));
open(props.value);
