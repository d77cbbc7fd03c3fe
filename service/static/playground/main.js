// The playground: a picture and some tasks, or a picture and an example pair; the answers side by side.

import { Refused, fetchBlob, infer, key, readTasks, readiness, wantsKey } from "./api.js";
import { Card, milliseconds } from "./cards.js";
import { pictureAnywhere, pictureField, tabs } from "./controls.js";
import { Painter } from "./painter.js";

const at = (id) => document.getElementById(id);
const spoken = (name) => name.replaceAll("_", " ");
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const EXAMPLE = "by example";
const STATUS = { ready: "Ready", starting: "Not ready yet…", gone: "Out of reach" };

let tasks = [];
let picture = null;
let mask = null; // of the picture: a file, white where a task is to paint
let byExample = false;
const example = { input: null, output: null };
const cards = new Map(); // by task, or EXAMPLE
const asking = new Map(); // what is under way, by the same

const ticked = () => [...document.querySelectorAll("#tasks input:checked")].map((box) => box.value);
const questions = () => (byExample ? (example.input && example.output ? [EXAMPLE] : []) : ticked());
const taskOf = (question) => tasks.find((task) => task.name === question);
const takes = (question, field) => Boolean(taskOf(question)?.takes.includes(field));
const paints = (question) => taskOf(question)?.kind !== "classification";

function fieldsOf(question) {
  const size = chosen("size");
  if (question === EXAMPLE) return { image: picture, size, example_input: example.input, example_output: example.output };
  if (!paints(question)) return { image: picture, task: question };
  const fields = { image: picture, size, task: question };
  if (takes(question, "threshold")) fields.threshold = chosen("threshold");
  if (takes(question, "mask") && mask) fields.mask = mask;
  return fields;
}

function cardOf(question) {
  if (!cards.has(question)) {
    cards.set(question, new Card(spoken(question), taskOf(question)?.description ?? "As the example pair shows."));
  }
  return cards.get(question);
}

function hint() {
  if (!picture) return "Choose a picture, and its answers appear here.";
  return byExample ? "Give an example input and an example output." : "Tick a task.";
}

function layOut() {
  const asked = questions();
  const ready = Boolean(picture && asked.length);
  const filling = asked.filter((question) => takes(question, "mask"));
  at("again").disabled = !ready;
  at("hint").hidden = ready;
  at("hint").textContent = hint();
  at("legend").hidden = !ready;
  at("thresholds").hidden = !asked.some((question) => takes(question, "threshold"));
  at("brush").hidden = at("brush-tools").hidden = !filling.length;
  at("brush-about").textContent = `Paint over what ${filling.map(spoken).join(" and ")} shall fill.`;
  at("cards").replaceChildren(...(ready ? asked.map(cardOf) : []).map((card) => card.root));
  return ready ? asked : [];
}

async function answer(question) {
  asking.get(question)?.abort();
  const controller = new AbortController();
  asking.set(question, controller);
  const card = cardOf(question);
  card.wait();
  try {
    const given = await infer(fieldsOf(question), controller.signal);
    if (controller.signal.aborted) return "";
    card.show(given, at("preview").src);
    return `${spoken(question)} in ${milliseconds(given.total)}`;
  } catch (error) {
    if (controller.signal.aborted) return "";
    const told = toldOf(error, question);
    card.fail(told);
    return `${spoken(question)} failed: ${told}`;
  }
}

function toldOf(error, question) {
  if (!(error instanceof Refused)) return "The server cannot be reached.";
  const readable = !at("chosen").hidden;
  if (error.status === 422 && readable && takes(question, "mask") && !mask) return "Paint over what is to be filled in.";
  if (error.status !== 401) return error.message;
  askForKey();
  at("key").focus();
  return "This server wants a valid API key.";
}

// Ask what is not answered yet, and what `stale(question)` says is answered no longer. What was asked before and is
// overtaken is given up.
async function ask(stale = () => false) {
  const asked = questions();
  for (const question of [...cards.keys()].filter((each) => stale(each) && !asked.includes(each))) {
    asking.get(question)?.abort();
    cards.delete(question);
  }
  const open = layOut().filter((question) => stale(question) || cardOf(question).isOpen);
  const told = (await Promise.all(open.map(answer))).filter(Boolean);
  if (told.length) at("announce").textContent = `Answered: ${told.join(", ")}.`;
}

const askAll = () => ask(() => true);

// `strokes` are painted already.
async function takePicture(blob, sample = null, strokes = []) {
  const preview = at("preview");
  picture = blob;
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(blob);
  for (const button of document.querySelectorAll(".samples button")) {
    button.setAttribute("aria-pressed", String(button === sample));
  }
  const known = await preview.decode().then(() => true, () => false);
  if (picture !== blob) return; // another was chosen meanwhile
  const [width, height] = known ? [preview.naturalWidth, preview.naturalHeight] : [4, 3];
  at("chosen").hidden = !known;
  at("drop").classList.add("filled");
  document.body.style.setProperty("--aspect", width / height);
  painter.take(width, height, strokes);
  mask = await painter.mask();
  await askAll();
}

const painter = new Painter(at("brush"), at("brush-ring"), () => at("brush-size").value / 200, async () => {
  mask = await painter.mask();
  await ask((question) => takes(question, "mask"));
});

function takeExample(side, blob) {
  example[side] = blob;
  const image = at(`example-${side}`).parentElement.querySelector("img");
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  ask((question) => question === EXAMPLE);
}

function taskRow({ name, description }, index) {
  const row = document.createElement("label");
  const [box, title, about] = ["input", "span", "small"].map((tag) => document.createElement(tag));
  Object.assign(box, { type: "checkbox", value: name, checked: index === 0 });
  title.textContent = spoken(name);
  about.textContent = description;
  row.append(box, title, about);
  box.addEventListener("change", () => ask());
  return row;
}

async function loadTasks() {
  tasks = await readTasks();
  const first = tasks.findIndex((task) => task.name === "segmentation");
  at("tasks").replaceChildren(...tasks.map((task, index) => taskRow(task, index - Math.max(first, 0))));
  at("no-tasks").hidden = tasks.length > 0;
  layOut();
}

function askForKey() {
  if (at("key-form").hidden) at("key").value = key.value;
  at("key-form").hidden = false;
  at("key").setAttribute("aria-invalid", String(Boolean(key.value)));
}

async function watchReadiness() {
  const state = await readiness();
  at("status").dataset.state = state;
  if (at("status").textContent !== STATUS[state]) at("status").textContent = STATUS[state];
  setTimeout(watchReadiness, state === "ready" ? 15_000 : 1_000);
}

// A sample brings its task, and what is painted over. Where that is nothing, there is nothing to fill in.
async function useSample(button) {
  const strokes = JSON.parse(button.dataset.strokes ?? "[]");
  for (const box of document.querySelectorAll("#tasks input")) {
    if (box.value === button.dataset.task) box.checked = true;
    else if (takes(box.value, "mask") && !strokes.length) box.checked = false;
  }
  takePicture(await fetchBlob(button.dataset.src), button, strokes);
}

tabs(document.querySelector("[role=tablist]"), (id) => {
  byExample = id === "tab-example";
  ask();
});
pictureField(at("file"), (blob) => takePicture(blob));
pictureField(at("example-input"), (blob) => takeExample("input", blob));
pictureField(at("example-output"), (blob) => takeExample("output", blob));
pictureAnywhere((blob) => takePicture(blob));
for (const button of document.querySelectorAll(".samples button")) button.addEventListener("click", () => useSample(button));
for (const radio of document.querySelectorAll("input[name=size]")) radio.addEventListener("change", () => ask(paints));
for (const radio of document.querySelectorAll("input[name=threshold]")) {
  radio.addEventListener("change", () => ask((question) => takes(question, "threshold")));
}
at("brush-size").addEventListener("input", () => painter.outline());
at("brush-undo").addEventListener("click", () => painter.undo());
at("brush-clear").addEventListener("click", () => painter.clear());
at("again").addEventListener("click", askAll);
at("sample-pair").addEventListener("click", async () => {
  takeExample("input", await fetchBlob("static/samples/cup.jpg"));
  takeExample("output", await fetchBlob("static/samples/cup-mask.png"));
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.value = at("key").value.trim();
  at("key").removeAttribute("aria-invalid");
  askAll();
});

watchReadiness();
loadTasks().catch(() => { at("hint").textContent = "The list of tasks could not be read."; });
wantsKey().then((wanted) => { if (wanted) askForKey(); }, () => {});
