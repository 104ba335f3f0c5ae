// ---- what is shown: the scan, its slices, the two planes rebuilt from them, and what is counted in it --------------

const at = (selector) => element.querySelector(selector);
const root = at(".viewer"), stage = at(".stage"), picture = at(".picture"), position = at(".position");
const layers = { ct: at("canvas.ct"), heat: at("canvas.heat"), marks: at("canvas.marks"), strip: at(".strip canvas") };
const box = (name) => at('.layers input[name="' + name + '"]');

const UNFOUND = { // what the payload holds besides once somebody looked for blood
  blood: null, heat: null, truth: null, bleeding: null, threshold: 128, marked: [],
  report: {
    scores: [], score_threshold: 0.5, calibrated: true, unsure: [], ml: [], strangeness: null,
    calls: null, about: null, models: [], withheld: false, finding: "none", measurable: true, belief: {}, reasons: {},
  },
};

const hasMask = (scan) => Boolean(scan.blood && scan.report.has_mask); // a classifier alone draws no outline
const answered = () => Boolean(state.scan.blood || state.scan.report.withheld); // somebody looked for blood
const reach = () => ({ axial: state.scan.slices.length, coronal: state.scan.rows, sagittal: state.scan.columns })[state.plane];
const index = () => state.place[state.plane];
const hu = (value) => value * state.scan.scale + state.scan.offset;

async function inflated(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The inverse of ich_lib.demo.viewer.pack: each pixel is the mean of its left and upper neighbor plus what was sent.
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

// Eight pixels a byte, the first in the highest bit.
function unpacked(bits, size) {
  const plane = new Uint8Array(size);
  for (let n = 0; n < size; n++) plane[n] = (bits[n >> 3] >> (7 - (n & 7))) & 1;
  return plane;
}

function numbers(k) {
  const { rows, columns, slices: texts } = state.scan;
  return (state.ct[k] ??= inflated(texts[k]).then((planes) => unguessed(planes, rows, columns)));
}

function decoded(k) {
  const from = state.scan, keep = state.ready, size = from.rows * from.columns, [tall, wide] = from.heat_size;
  const layer = (name, empty) => (from[name] ? inflated(from[name][k]) : empty);
  const parts = [numbers(k), layer("blood", new Uint8Array(size)), layer("heat", new Uint8Array(tall * wide)), layer("truth")];
  state.slices[k] ??= Promise.all(parts).then(([values, blood, heat, bits]) => {
    const truth = bits && unpacked(bits, size);
    keep[k] = {
      rows: from.rows, columns: from.columns, values, blood, truth, heat, heatSize: from.heat_size, borders: new Map(), ...tallied(blood, truth),
    };
    return keep[k];
  });
  return state.slices[k];
}

async function decodeAll() {
  const from = state.scan;
  const order = from.slices.map((_, k) => k).sort((a, b) => Math.abs(a - from.start) - Math.abs(b - from.start));
  for (const k of order) {
    if (state.scan !== from) return;
    await decoded(k);
  }
  if (state.scan !== from) return;
  root.dataset.decoded = answered() ? "all" : "picture";
  fillCounts();
  window.dispatchEvent(new CustomEvent("ich-drawn"));
}

// How many pixels have each level of probability, in all and within the truth: any threshold is then a short sum.
function tallied(blood, truth) {
  const levels = new Uint32Array(256), within = new Uint32Array(256);
  for (const level of blood) levels[level]++;
  if (truth) for (let n = 0; n < blood.length; n++) if (truth[n]) within[blood[n]]++;
  return { levels, within };
}

const atLeast = (levels, least) => levels.subarray(least).reduce((sum, count) => sum + count, 0);

// Pixels of the mask in a slice at the threshold of the slider; null as long as the slice is not there.
const marked = (k) => (state.ready[k] ? atLeast(state.ready[k].levels, state.threshold) : null);
const hasBlood = (k) => {
  const { scan, ready, threshold } = state;
  return scan.blood && (threshold === scan.threshold || !ready[k] ? scan.marked[k] : marked(k) > 0);
};

// The same policy as in ich_lib.measures.metrics: two empty masks agree; a rate without a denominator is none.
function counted(least) {
  let called = 0, hit = 0, real = 0, calledSlabs = 0, falseSlabs = 0;
  state.ready.forEach((slice, k) => {
    const inMask = atLeast(slice.levels, least), inBoth = atLeast(slice.within, least);
    called += inMask;
    hit += inBoth;
    real += atLeast(slice.within, 0);
    calledSlabs += inMask * state.scan.slabs[k];
    falseSlabs += (inMask - inBoth) * state.scan.slabs[k];
  });
  const dice = called + real ? (2 * hit) / (called + real) : 1;
  return { called, hit, real, dice, sensitivity: real ? hit / real : NaN, calledSlabs, falseSlabs };
}

// Bayes, as in ich_lib.measures.metrics.ppv and npv.
const ppv = (sensitivity, specificity, prevalence) => (sensitivity * prevalence) / (sensitivity * prevalence + (1 - specificity) * (1 - prevalence));
const npv = (sensitivity, specificity, prevalence) => (specificity * (1 - prevalence)) / (specificity * (1 - prevalence) + (1 - sensitivity) * prevalence);

// A frame of the plane in view. Coronal and sagittal ones have the head on top and nothing between two slices; where
// slices are uneven, a row shows the nearest.
async function framed(which, k) {
  if (which === "axial") return decoded(k);
  const held = state.scan;
  await state.all;
  return state.scan === held ? rebuilt(which, k) : null;
}

const SLAB_MM = 10;

// The first and the last of the rows or columns that a thick slab holds, which a thin one has alone.
function slabOf(which, k) {
  const { pixel_mm: mm, rows, columns } = state.scan, across = which === "coronal";
  const half = state.slab === "thin" || !mm ? 0 : Math.floor(SLAB_MM / mm[across ? 0 : 1] / 2);
  return [Math.max(k - half, 0), Math.min(k + half, (across ? rows : columns) - 1)];
}

// The mean or the highest of the stored values over a slab.
function thickened(planes) {
  const out = new planes[0].constructor(planes[0].length);
  for (let n = 0; n < out.length; n++) {
    let sum = 0, most = 0;
    for (const plane of planes) {
      sum += plane[n];
      most = Math.max(most, plane[n]);
    }
    out[n] = state.slab === "mip" ? most : Math.round(sum / planes.length);
  }
  return out;
}

function rebuilt(which, k) {
  const { scan, ready } = state, rows = scan.stack.length, across = which === "coronal", [tall, wide] = scan.heat_size;
  const stacked = (name, tall, wide, at) => { // one row or column of each slice, the head's first
    const length = across ? wide : tall, out = new ready[0][name].constructor(rows * length);
    for (let row = 0; row < rows; row++) {
      const plane = ready[scan.stack[rows - 1 - row]][name];
      for (let n = 0; n < length; n++) out[row * length + n] = plane[across ? at * wide + n : n * wide + at];
    }
    return out;
  };
  const full = (name) => stacked(name, scan.rows, scan.columns, k), [first, last] = slabOf(which, k);
  const values = thickened(Array.from({ length: last - first + 1 }, (_, n) => stacked("values", scan.rows, scan.columns, first + n)));
  const hot = Math.floor(across ? (k * tall) / scan.rows : (k * wide) / scan.columns);
  return {
    rows, columns: across ? scan.columns : scan.rows, values, blood: full("blood"), truth: scan.truth && full("truth"),
    heat: stacked("heat", tall, wide, hot), heatSize: [rows, across ? wide : tall], borders: new Map(),
  };
}

// Distances of a frame's rows and columns in mm, or none; and the letters of its sides.
function sizes() {
  if (!state.scan.pixel_mm) return null;
  const [y, x] = state.scan.pixel_mm;
  return { axial: [y, x], coronal: [state.scan.slice_mm, x], sagittal: [state.scan.slice_mm, y] }[state.plane];
}

const turnable = () => state.flipped && state.plane !== "sagittal";

function sides() {
  const { x, y, z } = state.scan.letters;
  const [top, bottom] = state.plane === "axial" ? y : z, [left, right] = state.plane === "sagittal" ? y : x;
  return turnable() ? { top, bottom, left: right, right: left } : { top, bottom, left, right };
}
