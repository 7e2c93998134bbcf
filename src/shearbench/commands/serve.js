"use strict";
const sheet = document.getElementById("sheet"), pen = sheet.getContext("2d");
const result = document.getElementById("result");
let last = null, waiting = 0, asked = 0;

function clear() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.strokeStyle = "#000";
  pen.lineWidth = 16;
  pen.lineCap = pen.lineJoin = "round";
}

function place(event) {
  const box = sheet.getBoundingClientRect();
  return [(event.clientX - box.left) * sheet.width / box.width, (event.clientY - box.top) * sheet.height / box.height];
}

function stroke(event) {
  if (!last) return;
  const next = place(event);
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...next);
  pen.stroke();
  last = next;
}

function percent(share) { return `${(100 * share).toFixed(0)} %`; }

function show(name, source) {
  const image = document.getElementById(name);
  image.hidden = !source;
  if (source) image.src = source;
}

async function classify(body) {
  const number = ++asked;
  let found;
  try {
    const reply = await fetch("predict", { method: "POST", body });
    found = await reply.json();
  } catch (error) {
    found = { message: "The server does not answer; start shearbench serve again." };
  }
  if (number !== asked) return;  // a later one is on its way
  if (found.message) result.textContent = found.message;
  else if (found.class === null)
    result.textContent = `Not sure: ${found.best} (${percent(found.confidence)}) or ${found.runner_up} ` +
      `(${percent(found.runner_up_confidence)}). ${found.doubt}`;
  else result.textContent = `Predicted as ${found.class}, confidence ${percent(found.confidence)}.`;
  show("prepared", found.prepared);
  show("seen", found.seen);
}

sheet.addEventListener("pointerdown", event => {
  sheet.setPointerCapture(event.pointerId);
  last = place(event);
  stroke(event);
});
sheet.addEventListener("pointermove", stroke);
sheet.addEventListener("pointerup", () => {
  last = null;
  clearTimeout(waiting);
  waiting = setTimeout(() => sheet.toBlob(classify), 150);
});
document.getElementById("clear").addEventListener("click", () => { clear(); clearTimeout(waiting); asked++; result.textContent = "Nothing yet."; show("prepared"); show("seen"); });
document.getElementById("file").addEventListener("change", event => { if (event.target.files[0]) { clear(); classify(event.target.files[0]); } });
document.addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", () => document.body.classList.remove("over"));
document.addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files[0]) { clear(); classify(event.dataTransfer.files[0]); }
});
clear();
