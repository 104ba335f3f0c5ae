// ---- 3D: brain and blood inside the skull. The server is asked for them once somebody opens the view, and with the
// first answer comes three.js, which draws the border of each field by marching cubes --------------------------------

const solid = at(".solid-view"), SOLID = { iso: 127.5, most: 400_000, opacity: { brain: 0.3, blood: 1, truth: 0.3 } };
const hasWebgl = () => Boolean(document.createElement("canvas").getContext("webgl2"));
const isOpenSolid = () => solid.open && Boolean(state.scan);

// Whether the three planes and this view can be shown at all; else the sentence that says why not.
const flatReason = () => (state.scan.slices.length === 1 ? say("plane_one") : state.scan.slice_mm ? "" : say("plane_off"));

window.ichSolid = () => [viewersAsking()?.state.threshold ?? null, !window.ichThree];
const viewersAsking = () => [...viewers].find(({ root: one }) => one.querySelector(".solid-view").open);

function openSolid() {
  if (!state.scan || !answered() || flatReason()) return;
  solid.showModal();
  at(".solid-stage").focus();
  askSolid();
}

function askSolid() {
  if (!isOpenSolid()) return;
  if (!isSolidThere()) state.scan.solid = null;
  fillSolid();
  if (!hasWebgl() || state.scan.solid) return;
  const request = state.scan.id + " " + state.threshold;
  if (state.solidRequest === request) return;
  state.solidRequest = request;
  trigger?.("play");
}

const isSolidThere = () => state.scan.solid?.threshold === state.threshold;

// `{ solid: { surfaces }, library }` of the server; without surfaces `why` says why, or the line of status does.
async function takeSolid({ solid: content, library }) {
  if (library) window.ichThree ??= loadThree(library);
  const [, threshold] = state.solidRequest.split(" ");
  state.solidRequest = "";
  state.scan.solid = content.surfaces || content.why ? { ...content, threshold: Number(threshold) } : { surfaces: null };
  const held = state.scan;
  if (content.surfaces) {
    await buildScene(held).catch((problem) => {
      console.error(problem);
      held.solid.why = state.scene ? "our_fault" : "solid_no_webgl"; // a computer may offer WebGL and refuse it then
    });
  }
  if (state.scan !== held) return;
  fillSolid();
  if (document.activeElement === solid.querySelector("form button")) at(".solid-stage").focus(); // where the arrow keys turn
}

async function loadThree(packed) {
  const text = new TextDecoder().decode(await inflated(packed)), address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}

// ---- words

function fillSolid() {
  if (!isOpenSolid()) return;
  const { solid: shown } = state.scan, drawn = Boolean(shown?.surfaces && !shown.why && state.scene?.of === shown);
  const why = !hasWebgl() ? "solid_no_webgl" : !shown ? "solid_wait" : shown.why ?? (drawn ? "" : shown.surfaces ? "solid_wait" : "solid_none");
  at(".solid-note").textContent = why && say(why);
  at(".solid-box").hidden = !drawn;
  solid.dataset.drawn = drawn ? "yes" : "no";
  if (!drawn) return;
  const lines = tellSolid(shown);
  at(".solid-where").textContent = lines.join(" ");
  at(".solid-stage canvas").ariaLabel = [say("solid_title") + ".", ...lines].join(" ");
  for (const part of solid.querySelectorAll("[data-surface]")) part.hidden = !state.scene.meshes[part.dataset.surface];
  renderSolid();
}

// The headline with its mL, where the blood lies, and what is left out.
function tellSolid({ sides, outside, surfaces }) {
  const lines = [at(".sentence").textContent], has = surfaces.some(({ name }) => name === "blood");
  if (has) lines.push(sides.length ? say("solid_where", { sides: sides.map((side) => say(side)).join(", ") }) : say("solid_middle"));
  else if (!state.scan.report.withheld) lines.push(say("no_blood_marked"));
  if (outside >= 0.05) lines.push(say("solid_outside", { share: percent(outside) }));
  return lines;
}

// ---- the scene, in mm of the patient: x to the left, y to the back, z to the head

async function buildScene(held) {
  const three = await window.ichThree, fields = await Promise.all(held.solid.surfaces.map(({ field }) => inflated(field)));
  if (state.scan !== held) return;
  state.scene ??= emptyScene(three);
  const { scene, meshes } = state.scene;
  for (const mesh of Object.values(meshes)) scene.remove(mesh), mesh.geometry.dispose(), mesh.material.dispose();
  state.scene.meshes = {};
  held.solid.surfaces.forEach((surface, k) => {
    const color = { brain: COLORS.brain, blood: COLORS.mask, truth: COLORS.truth }[surface.name], opacity = SOLID.opacity[surface.name];
    const material = new three.MeshStandardMaterial({ color, roughness: 0.6, opacity, transparent: opacity < 1, depthWrite: opacity === 1, wireframe: surface.name === "truth" }); // a net over the blood, as dashes are in a slice
    const mesh = new three.Mesh(surfaceOf(three, surface, fields[k]), material);
    mesh.renderOrder = { blood: 0, truth: 1, brain: 2 }[surface.name];
    mesh.visible = solid.querySelector("input[name=solid-" + surface.name + "]").checked;
    state.scene.meshes[surface.name] = mesh;
    scene.add(mesh);
  });
  state.scene.of = held.solid;
  at(".solid-box").hidden = false; // so that it has a size
  resetSolid();
}

function emptyScene(three) {
  const canvas = at(".solid-stage canvas"), renderer = new three.WebGLRenderer({ canvas, antialias: true });
  const scene = new three.Scene(), camera = new three.PerspectiveCamera(30, 1, 1, 3000), lamp = new three.DirectionalLight(0xffffff, 2.4);
  camera.up.set(0, 0, 1);
  lamp.position.set(-0.4, 0.6, 1);
  camera.add(lamp);
  scene.add(camera, new three.AmbientLight(0xffffff, 0.9));
  const controls = new three.OrbitControls(camera, canvas);
  controls.enablePan = false;
  controls.addEventListener("change", renderSolid);
  return { three, renderer, scene, camera, controls, meshes: {} };
}

// The border of a field, by marching cubes in a cube that holds it.
function surfaceOf(three, { size: [deep, tall, wide], matrix }, levels) {
  const side = Math.max(deep, tall, wide), cubes = new three.MarchingCubes(side, new three.MeshStandardMaterial(), false, false, SOLID.most);
  for (let z = 0, n = 0; z < deep; z++) for (let y = 0; y < tall; y++) for (let x = 0; x < wide; x++, n++) cubes.field[(z * side + y) * side + x] = levels[n];
  cubes.isolation = SOLID.iso;
  cubes.update();
  const geometry = new three.BufferGeometry(), half = side / 2;
  for (const name of ["position", "normal"]) geometry.setAttribute(name, new three.BufferAttribute(cubes[name + "Array"].slice(0, cubes.count * 3), 3));
  geometry.applyMatrix4(new three.Matrix4().set(half, 0, 0, half, 0, half, 0, half, 0, 0, half, half, 0, 0, 0, 1)); // to voxels
  geometry.applyMatrix4(new three.Matrix4().set(...matrix)); // to mm
  cubes.geometry.dispose();
  geometry.computeBoundingSphere();
  geometry.computeBoundingBox();
  return geometry;
}

// ---- looking

const LETTERS = { R: [-1, 0, 0], L: [1, 0, 0], A: [0, -1, 0], P: [0, 1, 0], I: [0, 0, -1], S: [0, 0, 1] };

function resetSolid() {
  const { three, camera, controls, meshes } = state.scene, { center, radius } = meshes.brain.geometry.boundingSphere;
  const { clientWidth: width, clientHeight: height } = at(".solid-stage"), narrow = Math.min(1, (width || 1) / (height || 1));
  const far = (1.08 * radius) / Math.sin(((camera.fov / 2) * Math.PI) / 180) / narrow;
  controls.target.copy(center);
  controls.minDistance = far / 4;
  controls.maxDistance = far * 2;
  camera.position.copy(center).addScaledVector(new three.Vector3(0.45, -1, 0.4).normalize(), far); // from the front, a little left and above
  controls.update();
  renderSolid();
}

function turnSolid(across, up) {
  if (!state.scene) return;
  const { three, camera, controls } = state.scene, away = camera.position.clone().sub(controls.target);
  const place = new three.Spherical().setFromCartesianCoords(away.x, away.z, -away.y); // three's own poles are on y
  place.theta += across;
  place.phi = Math.min(Math.max(place.phi + up, 0.05), Math.PI - 0.05);
  const { x, y, z } = new three.Vector3().setFromSpherical(place);
  camera.position.copy(controls.target).add(new three.Vector3(x, -z, y));
  controls.update();
  renderSolid();
}

function zoomSolid(factor) {
  if (!state.scene) return;
  const { camera, controls } = state.scene, away = camera.position.clone().sub(controls.target);
  const far = Math.min(Math.max(away.length() * factor, controls.minDistance), controls.maxDistance);
  camera.position.copy(controls.target).add(away.setLength(far));
  controls.update();
  renderSolid();
}

function renderSolid() {
  if (!state.scene || !solid.open) return;
  const { renderer, scene, camera } = state.scene, { clientWidth: width, clientHeight: height } = at(".solid-stage");
  if (!width || !height) return;
  renderer.setPixelRatio(Math.min(sharp(), 2));
  renderer.setSize(width, height, false);
  camera.aspect = width / height;
  camera.updateProjectionMatrix();
  renderer.render(scene, camera);
  placeLetters(width, height);
}

function placeLetters(width, height) {
  const { three, camera, meshes } = state.scene, { min, max } = meshes.brain.geometry.boundingBox, middle = min.clone().add(max).divideScalar(2);
  for (const [letter, ends] of Object.entries(LETTERS)) {
    const half = max.clone().sub(min).divideScalar(2).addScalar(14), point = new three.Vector3(...ends).multiply(half).add(middle);
    const behind = point.distanceTo(camera.position) > middle.distanceTo(camera.position), { x, y } = point.project(camera);
    const label = at('.solid-stage [data-end="' + letter + '"]');
    Object.assign(label.style, { left: (50 + 50 * x) + "%", top: (50 - 50 * y) + "%" });
    label.classList.toggle("behind", behind);
  }
}

const SOLID_KEYS = {
  ArrowLeft: () => turnSolid(-0.15, 0), ArrowRight: () => turnSolid(0.15, 0), ArrowUp: () => turnSolid(0, -0.15), ArrowDown: () => turnSolid(0, 0.15),
  "+": () => zoomSolid(1 / 1.2), "=": () => zoomSolid(1 / 1.2), "-": () => zoomSolid(1.2), 0: () => state.scene && resetSolid(), p: () => solid.close(),
};

function onSolidKey(event) {
  const act = !event.ctrlKey && !event.metaKey && !event.altKey && SOLID_KEYS[event.key];
  if (!act || solid.dataset.drawn !== "yes" && event.key !== "p") return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

function listenSolid() {
  at(".solid").addEventListener("click", openSolid);
  at(".solid-reset").addEventListener("click", () => state.scene && resetSolid());
  solid.addEventListener("keydown", onSolidKey);
  for (const check of solid.querySelectorAll("input")) check.addEventListener("change", () => ((state.scene.meshes[check.name.slice(6)].visible = check.checked), renderSolid()));
  new ResizeObserver(() => renderSolid()).observe(at(".solid-stage"));
}
