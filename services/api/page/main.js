/** Starts the page: reads the model, recalls earlier recordings, and connects the parts. */

import { call, getJson } from "./api.js";
import { dropComplaint, noteAnswer, noteFailure, poll, recall, unwatch, watch } from "./follow.js";
import { jobs, rememberedIds } from "./jobs.js";
import { forgetKey } from "./key.js";
import { render } from "./list.js";
import { offer } from "./options.js";
import * as recorder from "./recorder.js";
import { guarded } from "./say.js";
import * as uploads from "./upload.js";
import * as viewer from "./viewer.js";

const $ = (id) => document.getElementById(id);

let selectedId = null;
/** Whether the start was given up, as after "later". */
let isStopped = false;

/** Show a recording; the address remembers it over a reload. */
function select(id, { byHand = false } = {}) {
  selectedId = id;
  const record = jobs.get(id);
  if (byHand) dropComplaint();
  history.replaceState(null, "", record?.job ? `#job/${id}` : location.pathname);
  if (record?.job) watch(id);
  else unwatch();
  refresh();
  if (byHand) goToTranscript();
}

/** On a phone it is above the list that was touched, and may be longer than the window. */
function goToTranscript() {
  const panel = $("transcript");
  panel.focus({ preventScroll: true });
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top >= innerHeight) panel.scrollIntoView({ block: "start" });
}

function refresh() {
  render(selectedId, select);
  viewer.show(jobs.get(selectedId) ?? null);
}

/** Draw once per frame however many changes there were. */
let isDue = false;
function refreshSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    refresh();
  });
}

// Not by the address: that remembers what is shown.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("transcript").focus();
});
jobs.addEventListener("change", refreshSoon);
jobs.addEventListener("remove", ({ detail }) => {
  if (detail.id === selectedId) select(null);
  else refreshSoon();
});
jobs.addEventListener("rename", ({ detail }) => {
  if (detail.from === selectedId) select(detail.to);
});

async function showModel() {
  const { data, max_upload_bytes: most } = await getJson("v1/models");
  const model = data.find(({ bundle }) => bundle) ?? data[0];
  $("model").textContent = model.bundle ?? model.id;
  $("model").title = "The model that makes the transcripts, and its version";
  $("model").hidden = false;
  $("demo").hidden = !model.demo;
  offer(model);
  uploads.setLimit(most);
}

async function trySample() {
  const sample = await (await call("page/sample.mp3")).blob();
  uploads.sendAll([new File([sample], "Sample.mp3", { type: "audio/mpeg" })], select);
}

/** All files have arrived: the page need not be loaded anew. */
function noteLoaded() {
  document.querySelector("main").setAttribute("aria-busy", "false");
  history.replaceState(null, "");
}

/** What needs the service; tried again until it answers. */
async function start() {
  isStopped = false;
  try {
    await showModel();
    await recallAll();
    noteAnswer();
  } catch (error) {
    noteFailure(error);
    isStopped = !error.isPassing;
    if (!isStopped) setTimeout(start, 3000);
  }
}

const idInAddress = () => location.hash.match(/^#job\/(.+)$/)?.[1];

/** The recording that the address names comes before all others, and those from the newest on. */
async function recallAll() {
  const wanted = idInAddress();
  const ids = rememberedIds().reverse();
  await recall(ids.filter((id) => id === wanted));
  // Unless something else was chosen meanwhile.
  if (jobs.get(wanted) && wanted === idInAddress()) select(wanted);
  await recall(ids.filter((id) => id !== wanted));
}

uploads.listen(select);
recorder.listen((file) => uploads.sendAll([file], select));
viewer.listen(select);
$("sample").addEventListener("click", () => guarded(trySample));
$("key-button").addEventListener("click", () => {
  forgetKey();
  start();
});
// After "later" an upload may be what asks for the key.
$("key-dialog").addEventListener("close", ({ target }) => {
  if (isStopped && target.returnValue === "given") start();
});
noteLoaded();
refresh();
start();
poll();
uploads.recover();
