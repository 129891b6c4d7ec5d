/** Draws segments and words, and knows which of them is spoken at a time. */

import { clock } from "./format.js";

/** Below this probability a word is marked: worth a second listen. */
const UNSURE = 0.4;
/** As many segments before and after one fill any window. */
const AROUND = 60;
const list = document.getElementById("segments");

const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
let marks = [];
let drawn = [];
let spoken = [];
/** The segment that was brought into view last, or would have been; null after a jump. */
let followed = null;
/** Whether the reader may have scrolled since. */
let isTouched = false;

for (const event of ["wheel", "touchmove", "pointerdown", "keydown"]) {
  addEventListener(event, () => { isTouched = true; }, { passive: true });
}

/** Draw the segments; only what is new, if the old ones still look the same: what is selected stays so. */
export function draw(segments, { isLive }) {
  const isContinued = drawn.length <= segments.length && drawn.every((old, i) => isSame(old, segments[i]));
  if (!isContinued) clear();
  for (const segment of segments.slice(drawn.length)) {
    const item = segmentItem(segment);
    item.classList.toggle("new", isLive);
    list.append(item);
  }
  drawn = [...segments];
}

export function clear() {
  list.replaceChildren();
  [marks, drawn, spoken, followed] = [[], [], [], null];
}

const isSame = (old, segment) => old === segment || look(old) === look(segment);

/** All of a segment that is drawn: two that look the same need not be the same object. */
function look({ start, end, text, words }) {
  const said = (words ?? []).map((word) => [word.start, word.end, word.word.trim(), word.probability]);
  return JSON.stringify([start, end, text.trim(), said]);
}

/** Call `seek` with the time of the word or segment that is clicked. */
export function onSeek(seek) {
  list.addEventListener("click", (event) => {
    const target = event.target.closest("[data-start]");
    // Whoever selects words ends with a click on one.
    if (target && (target.matches("button") || !String(getSelection()))) seek(Number(target.dataset.start));
  });
}

/** Mark what is spoken at a time; null marks nothing. */
export function highlight(seconds) {
  const now = seconds === null ? [] : at(seconds);
  if (now.length !== spoken.length || now.some((element, i) => element !== spoken[i])) mark(now);
  if (now[0] && now[0] !== followed) keepUp(now[0]);
}

function mark(now) {
  for (const element of spoken) element.classList.remove("spoken");
  for (const element of now) element.classList.add("spoken");
  spoken = now;
}

/** From now on the page goes along with the sound again, wherever the reader is. */
export function follow() {
  [followed, isTouched] = [null, false];
}

/** Whoever reads elsewhere is left there. */
function keepUp(element) {
  if (!followed || !isTouched || isSeen(followed)) bring(element);
  followed = element;
}

function isSeen(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/** Into view. Its surroundings are laid out before: what grew above it afterwards would move it away again. */
function bring(element) {
  const isNear = Math.abs(element.getBoundingClientRect().top) < 2 * innerHeight;
  for (const old of list.querySelectorAll(".near")) old.classList.remove("near");
  const i = marks.findIndex((mark) => mark.element === element);
  for (const mark of marks.slice(Math.max(0, i - AROUND), i + AROUND)) mark.element.classList.add("near");
  element.scrollIntoView({ block: "nearest", behavior: isNear && !isCalm.matches ? "smooth" : "auto" });
}

/** The segment and, if it has words, the word at a time. */
function at(seconds) {
  const inside = ({ start, end }) => start <= seconds && seconds < end;
  const segment = marks.find(inside);
  if (!segment) return [];
  const word = segment.words.findLast(({ start }) => start <= seconds);
  return word && seconds < word.end + 0.25 ? [segment.element, word.element] : [segment.element];
}

function segmentItem(segment) {
  const item = document.createElement("li");
  item.className = "segment";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "at";
  button.dataset.start = segment.start;
  button.textContent = clock(segment.start);
  button.setAttribute("aria-label", `Play from ${clock(segment.start)}`);
  const text = document.createElement("p");
  text.dir = "auto";
  const words = (segment.words ?? []).map((word) => wordSpan(word));
  if (words.length) fill(text, words, segment.text.trim());
  else text.textContent = segment.text.trim();
  item.classList.toggle("has-words", words.length > 0);
  item.append(button, text);
  marks.push({ start: segment.start, end: segment.end, element: item,
    words: words.map((element, i) => ({ start: segment.words[i].start, end: segment.words[i].end, element })) });
  return item;
}

/** Put words into a paragraph with what the text has between them: not every language has spaces. */
function fill(paragraph, spans, text) {
  let end = 0;
  for (const span of spans) {
    const start = Math.max(end, text.indexOf(span.textContent, end));
    paragraph.append(text.slice(end, start), span);
    end = start + span.textContent.length;
  }
}

function wordSpan(word) {
  const span = document.createElement("span");
  span.className = "word";
  span.dataset.start = word.start;
  span.textContent = word.word.trim();
  if (word.probability !== undefined && word.probability < UNSURE) {
    span.classList.add("unsure");
    span.title = `Unsure: ${Math.round(100 * word.probability)} %`;
  }
  return span;
}
