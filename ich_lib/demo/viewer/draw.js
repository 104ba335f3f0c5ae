// ---- drawing: CT, heat and marks each on a canvas of its own, so that no overlay can alter the gray ---------------

// COLORS come from ich_lib/colors.py: the mask with a black halo, the truth dashed, unsure slices with a question mark.
const INFERNO = "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"
  .split(" ").map((hex) => [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));
const HEAT_OPACITY = 0.65, MOST_ZOOM = 12, MONTAGE = 9;


const sharp = () => window.devicePixelRatio || 1;

// What the file stores, through scale, offset and window, to opaque gray.
function setWindow(level, width, name) {
  state.look = { level, width, name };
  state.grays = new Uint32Array(65536);
  const low = level - width / 2;
  for (let value = 0; value < 65536; value++) {
    const gray = Math.round(Math.min(Math.max((hu(value) - low) / width, 0), 1) * 255);
    state.grays[value] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
  }
  root.dataset.window = name;
  at("input[name=level]").value = Math.round(level);
  at("input[name=width]").value = Math.round(width);
  for (const button of at(".windows").children) button.setAttribute("aria-pressed", button.dataset.name === name);
}

function paintCt(canvas, frame) {
  const image = new ImageData(frame.columns, frame.rows), pixels = new Uint32Array(image.data.buffer), { grays } = state;
  for (let n = 0; n < pixels.length; n++) pixels[n] = grays[frame.values[n]];
  if (canvas.width !== frame.columns || canvas.height !== frame.rows) [canvas.width, canvas.height] = [frame.columns, frame.rows];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function inferno(share) {
  const place = share * (INFERNO.length - 1), k = Math.min(Math.floor(place), INFERNO.length - 2), rest = place - k;
  return INFERNO[k].map((low, channel) => low + (INFERNO[k + 1][channel] - low) * rest);
}

function drawHeat(frame) {
  layers.heat.hidden = !box("heat").checked;
  at(".legend").hidden = layers.heat.hidden;
  if (layers.heat.hidden) return;
  const [rows, columns] = frame.heatSize, image = new ImageData(columns, rows);
  for (let n = 0; n < frame.heat.length; n++) {
    const share = frame.heat[n] / 255; // no evidence is no color: the lowest fifth fades in
    image.data.set([...inferno(share), 255 * HEAT_OPACITY * Math.min(share * 5, 1)], 4 * n);
  }
  layers.heat.width = columns;
  layers.heat.height = rows;
  layers.heat.getContext("2d").putImageData(image, 0, 0);
}

// The border of `blood >= least` as closed loops: marching squares, between the centers of pixels.
// Each cell of four centers joins edges so that blood lies on the left; so every edge has one way in and one way out.
const TURNS = ["", "BL", "RB", "RL", "TR", "TRBL", "TB", "TL", "LT", "BT", "LTRB", "RT", "LR", "BR", "LB", ""];

function border(blood, rows, columns, least) {
  const level = (x, y) => (x < 0 || y < 0 || x >= columns || y >= rows ? 0 : blood[y * columns + x]);
  const wide = columns + 3, next = new Map(), place = new Map();
  const edge = (side, x, y) => { // one number per edge, and the point on it where the level is crossed
    const down = side === "L" || side === "R"; // from a center to the one below, else to the one on its right
    if (side === "R") x += 1;
    if (side === "B") y += 1;
    const id = 2 * ((y + 1) * wide + x + 1) + (down ? 1 : 0);
    if (!place.has(id)) {
      const a = level(x, y), b = down ? level(x, y + 1) : level(x + 1, y), along = (least - 0.5 - a) / (b - a);
      place.set(id, down ? [x + 0.5, y + 0.5 + along] : [x + 0.5 + along, y + 0.5]);
    }
    return id;
  };
  for (let y = -1; y < rows; y++) {
    let left = 0; // which of a cell's two left centers are blood: 8 above, 1 below
    for (let x = -1; x < columns; x++) {
      const right = (level(x + 1, y) >= least) * 4 + (level(x + 1, y + 1) >= least) * 2, turns = TURNS[left + right];
      for (let t = 0; t < turns.length; t += 2) next.set(edge(turns[t], x, y), edge(turns[t + 1], x, y));
      left = (right & 4) * 2 + (right & 2) / 2;
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

function outlined(frame, name, least) {
  const key = name + least;
  if (!frame.borders.has(key)) frame.borders.set(key, border(frame[name], frame.rows, frame.columns, least));
  return frame.borders.get(key);
}

// From pixels of a frame to pixels of a picture on the screen: zoom, shift and side in one matrix.
function onScreen(width, height, frame, turned, near = 1, x = 0, y = 0) {
  const side = new DOMMatrix(turned ? [-near, 0, 0, near, x + near * width, y] : [near, 0, 0, near, x, y]);
  return side.scale(width / frame.columns, height / frame.rows);
}

const inView = (width, height, frame) => onScreen(width, height, frame, turnable(), state.zoom, state.shift[0] * width, state.shift[1] * height);

function paintMarks(canvas, frame, matrix, thin = 1) {
  const brush = canvas.getContext("2d"), placed = (path) => {
    const moved = new Path2D();
    moved.addPath(path, matrix);
    return moved;
  };
  const line = (path, color, halo, dashes = []) => {
    brush.lineJoin = "round";
    for (const [paint, width] of [["#000000", halo], [color, 2]]) {
      brush.strokeStyle = paint;
      brush.lineWidth = width * thin;
      brush.setLineDash(dashes.map((length) => length * thin));
      brush.stroke(path);
    }
    brush.setLineDash([]);
  };
  const path = placed(outlined(frame, "blood", state.threshold));
  if (box("fill").checked) {
    brush.globalAlpha = box("opacity").value / 100;
    brush.fillStyle = COLORS.mask;
    brush.fill(path, "evenodd");
    brush.globalAlpha = 1;
  }
  if (box("outline").checked) line(path, COLORS.mask, 5);
  if (frame.truth && box("truth").checked) line(placed(outlined(frame, "truth", 1)), COLORS.truth, 3.5, [9, 7]);
}

function drawMarks(frame) {
  const width = picture.clientWidth * sharp(), height = picture.clientHeight * sharp();
  layers.marks.width = Math.round(width);
  layers.marks.height = Math.round(height);
  const matrix = inView(layers.marks.width, layers.marks.height, frame);
  paintMarks(layers.marks, frame, matrix, sharp());
  if (state.scan.inputs && looksInside() && state.plane === "axial") drawInputBox(matrix, frame);
  if (state.crosshair) drawCrosshair(matrix, frame);
  if (measuredHere()) drawMeasure(layers.marks.getContext("2d"), matrix);
  if (state.probe && root.dataset.point === "keys") drawCross(matrix.transformPoint(new DOMPoint(state.probe[1] + 0.5, state.probe[0] + 0.5)));
}

function drawCross({ x, y }) {
  const brush = layers.marks.getContext("2d"), far = 9 * sharp(), near = 3 * sharp();
  for (const [color, width] of [["#000000", 4], ["#ffffff", 1.5]]) {
    brush.strokeStyle = color;
    brush.lineWidth = width * sharp();
    brush.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      brush.moveTo(x + dx * near, y + dy * near);
      brush.lineTo(x + dx * far, y + dy * far);
    }
    brush.stroke();
  }
}

// Where the frames of the other two planes lie, as lines.
function drawCrosshair(matrix, frame) {
  const { axial, coronal, sagittal } = state.place, height = state.scan.stack.length - 1 - state.scan.stack.indexOf(axial);
  const [row, column] = { axial: [coronal, sagittal], coronal: [height, sagittal], sagittal: [height, coronal] }[state.plane];
  const path = new Path2D(), ends = [[row + 0.5, 0, row + 0.5, frame.columns], [0, column + 0.5, frame.rows, column + 0.5]];
  for (const [y0, x0, y1, x1] of ends) {
    const [a, b] = [matrix.transformPoint(new DOMPoint(x0, y0)), matrix.transformPoint(new DOMPoint(x1, y1))];
    path.moveTo(a.x, a.y);
    path.lineTo(b.x, b.y);
  }
  const brush = layers.marks.getContext("2d");
  for (const [color, width] of [["#000000", 3], ["#7fd4c1", 1]]) {
    brush.strokeStyle = color;
    brush.lineWidth = width * sharp();
    brush.stroke(path);
  }
}

// The CT and the heat map follow zoom, shift and side as they are: their pixels stay.
function drawPlace() {
  const width = picture.clientWidth, height = picture.clientHeight, side = turnable() ? -1 : 1, { zoom, shift } = state;
  const moved = "matrix(" + [side * zoom, 0, 0, zoom, shift[0] * width + (side < 0 ? zoom * width : 0), shift[1] * height].join(",") + ")";
  for (const canvas of [layers.ct, layers.heat]) canvas.style.transform = moved;
  root.dataset.zoom = zoom.toFixed(2);
  drawScale();
}

function drawStrip() {
  const canvas = layers.strip, dot = sharp();
  canvas.width = Math.round(canvas.clientWidth * dot);
  canvas.height = Math.round(canvas.clientHeight * dot);
  const brush = canvas.getContext("2d"), count = state.scan.slices.length, step = canvas.width / count;
  const scores = state.scan.report.scores[0]?.slices ?? [], known = state.scan.bleeding && box("truth").checked, foot = canvas.height - (known ? 11 : 6) * dot, head = 13 * dot, tallest = foot - head;
  brush.font = "bold " + 11 * dot + "px system-ui, sans-serif";
  brush.textAlign = "center";
  for (let k = 0; k < count; k++) {
    const tall = Math.max((scores[k] ?? 0) * tallest, dot), gap = step > 4 * dot ? dot : 0, here = k === state.place.axial;
    brush.fillStyle = "#ffffff33";
    if (here) brush.fillRect(k * step, 0, step - gap, canvas.height);
    brush.fillStyle = here ? "#ffffff" : "#8d9aa9";
    brush.fillRect(k * step, foot - tall, step - gap, tall);
    if (state.scan.report.unsure.includes(k)) {
      brush.fillStyle = COLORS.unsure;
      brush.fillRect(k * step, head - 3 * dot, step - gap, 3 * dot);
      if (step > 6 * dot) brush.fillText("?", (k + 0.5) * step, 10 * dot);
    }
    if (hasBlood(k)) {
      brush.fillStyle = COLORS.mask;
      brush.fillRect(k * step, foot + 2 * dot, step - gap, 4 * dot);
    }
    if (known && state.scan.bleeding[k]) {
      brush.fillStyle = COLORS.truth;
      brush.fillRect(k * step, foot + 7 * dot, step - gap, 4 * dot);
    }
  }
  if (!state.scan.blood) return;
  brush.strokeStyle = "#ffffff";
  brush.setLineDash([4 * dot, 3 * dot]);
  brush.lineWidth = dot;
  brush.beginPath();
  brush.moveTo(0, foot - state.scan.report.score_threshold * tallest);
  brush.lineTo(canvas.width, foot - state.scan.report.score_threshold * tallest);
  brush.stroke();
}

function drawScale() {
  const mm = state.frame && sizes();
  at(".bar").hidden = !mm;
  if (!mm) return;
  const across = (mm[1] * state.frame.columns) / state.zoom, long = [100, 50, 20, 10, 5, 2].find((length) => length <= across / 4) ?? 1;
  at(".bar i").style.width = (100 * long) / across + "%";
  at(".bar span").textContent = long >= 10 ? long / 10 + " cm" : long + " mm";
}

function drawLetters() {
  const letters = sides();
  for (const side of ["top", "bottom", "left", "right"]) at(".letter." + side).textContent = letters[side];
  at(".sided").hidden = !turnable();
  at(".rebuilt").hidden = state.plane === "axial";
  const slab = state.slab === "thin" ? "" : ", " + say("slab_" + state.slab, { mm: SLAB_MM });
  at(".rebuilt").textContent = state.scan.slice_mm ? say("rebuilt", { mm: decimal(state.scan.slice_mm, 1) }) + slab : "";
}

async function draw() {
  share();
  const held = state.scan, which = state.plane, k = index(), next = await framed(which, k);
  if (!next || state.scan !== held || state.plane !== which || index() !== k) return;
  state.frame = next;
  const [tall, wide] = sizes() ?? [1, 1];
  picture.style.setProperty("--shape", (state.frame.columns * wide) / (state.frame.rows * tall));
  paintCt(layers.ct, state.frame);
  drawHeat(state.frame);
  drawMarks(state.frame);
  drawPlace();
  drawLetters();
  tellPoint();
  root.dataset.plane = state.plane;
  root.dataset.slice = k + 1;
  root.dataset.ready = "yes";
  window.dispatchEvent(new CustomEvent("ich-drawn"));
}

// The slices with most blood, in their order; without any, some from bottom to top.
async function drawMontage() {
  const held = state.scan;
  await state.all;
  if (state.scan !== held || at(".montage").hidden) return;
  const numbers = held.slices.map((_, k) => k), bloody = numbers.filter((k) => marked(k)).sort((a, b) => marked(b) - marked(a));
  const even = [...new Set(numbers.slice(0, MONTAGE).map((k) => Math.floor(((k + 0.5) * numbers.length) / Math.min(MONTAGE, numbers.length))))];
  const chosen = bloody.length ? bloody.slice(0, MONTAGE).sort((a, b) => a - b) : even;
  at(".montage p").textContent = say(bloody.length ? "montage_title" : "montage_none");
  at(".montage div").replaceChildren(...chosen.map((k) => tile(k)));
}

function tile(k) {
  const button = made("button"), ct = made("canvas"), marks = made("canvas"), both = made("span", undefined, "both");
  button.type = "button";
  button.dataset.slice = k + 1;
  both.append(ct, marks);
  button.append(both, made("small", say("montage_slice", { k: k + 1, ml: amount(marked(k) * state.scan.slabs[k], marked(k)) })));
  const [tall, wide] = state.scan.pixel_mm ?? [1, 1];
  both.style.setProperty("--shape", (state.scan.columns * wide) / (state.scan.rows * tall));
  marks.width = 480;
  marks.height = Math.round((480 * state.scan.rows * tall) / (state.scan.columns * wide));
  paintCt(ct, state.ready[k]);
  ct.style.transform = state.flipped ? "scaleX(-1)" : "";
  paintMarks(marks, state.ready[k], onScreen(marks.width, marks.height, state.ready[k], state.flipped), 1.6);
  button.addEventListener("click", () => (show("axial"), go(k)));
  return button;
}
