// ---- a ruler, and a region with its HU: on one frame of one plane ---------------------------------------------------

function beginMeasure(kind, spot) {
  state.measured = { kind, plane: state.plane, index: index(), from: spot, to: spot };
  tellMeasure();
}

function measureTo(spot) {
  if (!state.measured) return;
  state.measured.to = spot;
  drawMarks(state.frame);
  tellMeasure();
}

// The first press begins at the point that Shift and arrows move, the second leaves the measure as it is.
function measureByKeys(kind) {
  if (!state.frame) return;
  state.measuring = !state.measuring;
  if (!state.measuring) return;
  const [row, column] = (state.probe ??= [state.frame.rows >> 1, state.frame.columns >> 1]);
  root.dataset.point = "keys";
  beginMeasure(kind, [row + 0.5, column + 0.5]);
  drawMarks(state.frame);
}

function forgetMeasure() {
  state.measured = null;
  state.measuring = false;
  if (state.frame) drawMarks(state.frame);
  tellMeasure();
}

const measuredHere = () => state.measured && state.measured.plane === state.plane && state.measured.index === index();

// mm where the spacing is known, else pixels.
function rulerLength({ from, to }) {
  const mm = sizes(), [tall, wide] = mm ?? [1, 1];
  return { length: Math.hypot((to[0] - from[0]) * tall, (to[1] - from[1]) * wide), known: Boolean(mm) };
}

// Of the pixels whose centers lie in the ellipse between both ends: mean and standard deviation in HU, and how many.
function regionStatistics({ from, to }, frame) {
  const middle = [0, 1].map((axis) => (from[axis] + to[axis]) / 2), half = [0, 1].map((axis) => Math.max(Math.abs(to[axis] - from[axis]) / 2, 1e-9));
  let count = 0, sum = 0, squares = 0;
  for (let row = Math.max(Math.floor(middle[0] - half[0]), 0); row <= Math.min(middle[0] + half[0], frame.rows - 1); row++) {
    for (let column = Math.max(Math.floor(middle[1] - half[1]), 0); column <= Math.min(middle[1] + half[1], frame.columns - 1); column++) {
      if (((row + 0.5 - middle[0]) / half[0]) ** 2 + ((column + 0.5 - middle[1]) / half[1]) ** 2 > 1) continue;
      const value = hu(frame.values[row * frame.columns + column]);
      count += 1;
      sum += value;
      squares += value * value;
    }
  }
  const mean = count ? sum / count : NaN;
  return { count, mean, sd: count ? Math.sqrt(Math.max(squares / count - mean * mean, 0)) : NaN };
}

function measureText() {
  const measured = state.measured;
  if (measured.kind === "ruler") {
    const { length, known } = rulerLength(measured);
    return known ? say("ruler_read", { mm: decimal(length, 1) }) : say("ruler_pixels", { n: Math.round(length) });
  }
  const { count, mean, sd } = regionStatistics(measured, state.frame), mm = sizes();
  const area = mm ? say("area_mm2", { n: decimal(count * mm[0] * mm[1], count * mm[0] * mm[1] < 10 ? 1 : 0) }) : say("pixels", { n: count });
  return state.scan.hu_known && count ? say("region_read", { mean: decimal(mean, 1), sd: decimal(sd, 1), area }) : say("region_gray", { area });
}

function tellMeasure() {
  at(".measured").textContent = measuredHere() && state.frame ? measureText() : "";
  if (at(".measured").textContent) at(".announcement").textContent = at(".measured").textContent;
}

function drawMeasure(brush, matrix) {
  const [a, b] = [state.measured.from, state.measured.to].map(([row, column]) => matrix.transformPoint(new DOMPoint(column, row)));
  const path = new Path2D();
  if (state.measured.kind === "ruler") {
    path.moveTo(a.x, a.y);
    path.lineTo(b.x, b.y);
    for (const end of [a, b]) {
      path.moveTo(end.x + 4 * sharp(), end.y);
      path.arc(end.x, end.y, 4 * sharp(), 0, 2 * Math.PI);
    }
  } else {
    path.ellipse((a.x + b.x) / 2, (a.y + b.y) / 2, Math.abs(b.x - a.x) / 2, Math.abs(b.y - a.y) / 2, 0, 0, 2 * Math.PI);
  }
  for (const [color, width] of [["#000000", 4], ["#ffffff", 1.6]]) {
    brush.strokeStyle = color;
    brush.lineWidth = width * sharp();
    brush.stroke(path);
  }
}
