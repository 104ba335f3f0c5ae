// ---- all that changes while the viewer is there: the scripts share this one object; everything else is a constant or a function

const state = {
  // what is shown
  scan: null, // the payload
  ct: [], // one promise of CT numbers per slice, once they were asked for
  slices: [], // the same of slices: CT numbers and what was found in them
  ready: [], // the slices themselves, as soon as they are there
  all: null, // a promise of all of them
  frame: null, // what is on the screen

  // how
  language: preferred(),
  plane: "axial",
  place: { axial: 0, coronal: 0, sagittal: 0 }, // z, y and x of each plane's frame
  threshold: 0, // level of probability, of 255, from which blood is marked
  look: null, // the window: level, width and its name
  grays: null, // what the file stores to gray, through the window
  zoom: 1,
  shift: [0, 0], // in shares of the picture
  flipped: false, // neurological: patient's right on the right
  probe: null, // [row, column] of the point whose HU are shown
  crosshair: false, // whether the places of the other planes are drawn, and a point moves them
  slab: "thin", // of coronal and sagittal: "thin", or the "mean" or "mip" of SLAB_MM
  measured: null, // a ruler or a region: its kind, plane and frame, and both ends as [row, column]
  measuring: false, // whether keys still move its second end
  measurable: true, // whether mL are given at the threshold of the slider

  inputsRequest: "", // id of the picture of the last request for the input of the model
  solidRequest: "", // id of the picture, and the threshold, of the last request for the surfaces of the 3D view
  scene: null, // what the 3D view draws, once it did: the library, camera, controls and one mesh per surface

  // with others
  sent: "", // what the viewer beside last sent or received
  address: new URLSearchParams(location.search), // which slice, window and plane a link asks for, until that is done
  waiting: 0, // until the address of the page follows

  // what the hand does
  drag: null, // what dragging does, once somebody chose; until then a finger turns slices and a mouse the window
  rested: false, // whether the pointer is on the desk
  fingers: new Map(), // pointers on the stage, where each was last
  turned: 0, // pixels of a wheel that were not enough for a slice
  walked: 0, // the same of a drag
};
