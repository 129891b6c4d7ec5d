/** The list of this browser's recordings, newest first. */

import { saveFile } from "./export.js";
import { clock, hasEnded, jobState, uploadState } from "./format.js";
import { jobs } from "./jobs.js";
import { isKept } from "./keep.js";
import { cancelUpload, removeUpload, sendAgain } from "./upload.js";

const list = document.getElementById("jobs");
const items = new Map();

/** Bring the list up to date. `select` is called with the id of a recording that is clicked. */
export function render(selectedId, select) {
  const records = jobs.all;
  const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
  document.getElementById("no-jobs").hidden = records.length > 0;
  document.getElementById("count").textContent = records.length || "";
  for (const [id, item] of items) {
    if (!jobs.get(id)) {
      item.remove();
      items.delete(id);
    }
  }
  records.forEach((record, place) => {
    const item = items.get(record.id) ?? make(record.id, select);
    update(item, record, record.id === selectedId);
    showActions(item, record, select);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
  if (focused >= 0 && !list.contains(document.activeElement)) keepFocus(focused);
}

/** A button that went away took the focus with it, and the keyboard would start from the top. */
function keepFocus(place) {
  const near = list.children[Math.min(place, list.children.length - 1)];
  (near?.firstChild ?? document.getElementById("transcript")).focus({ preventScroll: true });
}

/** An upload that has become a job is the same item. */
jobs.addEventListener("rename", ({ detail: { from, to } }) => {
  const item = items.get(from);
  // Nothing is drawn in a tab that nobody sees.
  if (!item) return;
  items.delete(from);
  items.set(to, item);
  item.dataset.id = to;
});

function make(id, select) {
  const item = document.createElement("li");
  item.className = "job";
  item.dataset.id = id;
  const button = document.createElement("button");
  button.type = "button";
  for (const part of ["name", "length", "about"]) {
    const span = document.createElement("span");
    span.className = part;
    button.append(span);
  }
  button.addEventListener("click", () => select(item.dataset.id, { byHand: true }));
  item.append(button);
  items.set(id, item);
  return item;
}

function update(item, record, isSelected) {
  const [name, length, about] = item.firstChild.children;
  const { job, upload } = record;
  name.textContent = record.name;
  length.textContent = job?.audio.duration ? clock(job.audio.duration) : "";
  about.textContent = job ? summary(job) : uploadState(upload);
  about.classList.toggle("bad", Boolean(upload?.error) || job?.status === "failed");
  item.firstChild.setAttribute("aria-current", String(isSelected));
  showBar(item, record);
}

function summary(job) {
  if (job.status !== "succeeded") return jobState(job);
  return new Date(job.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function showBar(item, { job, upload, name }) {
  const isOpen = job ? !hasEnded(job) : !upload.error && !upload.isWaiting;
  let bar = item.querySelector("progress");
  if (!isOpen) bar?.remove();
  else if (!bar) {
    bar = document.createElement("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", name);
    item.firstChild.append(bar);
  }
  if (isOpen) bar.value = job ? job.progress : upload.progress;
}

/** What is on its way can be stopped; what could not be sent is still here: send it again, or save it. */
function showActions(item, { id, name, upload }, select) {
  const row = item.querySelector(".row");
  const kind = upload ? (upload.error ? "failed" : "open") : undefined;
  if (row?.dataset.kind === kind) return;
  row?.remove();
  if (!upload) return;
  const added = document.createElement("div");
  added.className = "row";
  added.dataset.kind = kind;
  if (!upload.error) added.append(action("Cancel", () => cancelUpload(id)));
  else {
    if (!upload.isHopeless) added.append(action("Send again", () => select(sendAgain(id))));
    added.append(action("Save", () => saveFile(upload.file, name)), action("Remove", () => isUnwanted(upload, name) && removeUpload(id)));
  }
  item.append(added);
}

const isUnwanted = ({ file }, name) =>
  !isKept(file) || confirm(`Remove "${name}"? It was recorded here and is on no server.`);

function action(label, run) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", run);
  return button;
}
