// The playground: a picture and some tasks, or a picture and an example pair; the answers side by side.

import { Refused, fetchBlob, infer, isReady, key, readTasks, wantsKey } from "./api.js";
import { Card, milliseconds } from "./cards.js";
import { pictureAnywhere, pictureField, tabs } from "./controls.js";

const at = (id) => document.getElementById(id);
const spoken = (name) => name.replaceAll("_", " ");
const EXAMPLE = "by example";

let tasks = [];
let picture = null;
let byExample = false;
const example = { input: null, output: null };
const pictureCard = new Card("picture");
const cards = new Map(); // by task, or EXAMPLE
let asking = new AbortController();

const ticked = () => [...document.querySelectorAll("#tasks input:checked")].map((box) => box.value);
const questions = () => (byExample ? (example.input && example.output ? [EXAMPLE] : []) : ticked());

function fieldsOf(question) {
  const size = document.querySelector("input[name=size]:checked").value;
  if (question !== EXAMPLE) return { image: picture, size, task: question };
  return { image: picture, size, example_input: example.input, example_output: example.output };
}

function cardOf(question) {
  if (!cards.has(question)) {
    const about = tasks.find((task) => task.name === question)?.description ?? "As the example pair shows.";
    cards.set(question, new Card(spoken(question), about));
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
  at("again").disabled = !ready;
  at("hint").hidden = ready;
  at("hint").textContent = hint();
  at("legend").hidden = !ready;
  at("cards").replaceChildren(...(picture ? [pictureCard, ...asked.map(cardOf)] : []).map((card) => card.root));
  return ready ? asked : [];
}

async function answer(question, signal) {
  const card = cardOf(question);
  card.wait();
  try {
    const given = await infer(fieldsOf(question), signal);
    if (signal.aborted) return "";
    card.showAnswer(given);
    return `${spoken(question)} in ${milliseconds(given.total)}`;
  } catch (error) {
    if (signal.aborted) return "";
    const told = toldOf(error);
    card.fail(told);
    return `${spoken(question)} failed: ${told}`;
  }
}

function toldOf(error) {
  if (!(error instanceof Refused)) return "The server cannot be reached.";
  if (error.status !== 401) return error.message;
  askForKey();
  at("key").focus();
  return "This server wants a valid API key.";
}

// Ask what is not answered yet; with `again`, everything. What was asked before and is overtaken is given up.
async function ask(again) {
  if (again) {
    asking.abort();
    asking = new AbortController();
    const asked = questions();
    for (const question of [...cards.keys()]) if (!asked.includes(question)) cards.delete(question); // now outdated
  }
  const { signal } = asking;
  const open = layOut().filter((question) => again || cardOf(question).isOpen);
  if (!open.length) return;
  const told = await Promise.all(open.map((question) => answer(question, signal)));
  if (!signal.aborted) at("announce").textContent = `Answered: ${told.join(", ")}.`;
}

function takePicture(blob, sample = null) {
  picture = blob;
  pictureCard.show(blob, "Your picture");
  for (const button of document.querySelectorAll(".samples button")) {
    button.setAttribute("aria-pressed", String(button === sample));
  }
  ask(true);
}

function takeExample(side, blob) {
  example[side] = blob;
  const image = at(`example-${side}`).parentElement.querySelector("img");
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  ask(true);
}

function taskRow({ name, description }, index) {
  const row = document.createElement("label");
  const [box, title, about] = ["input", "span", "small"].map((tag) => document.createElement(tag));
  Object.assign(box, { type: "checkbox", value: name, checked: index === 0 });
  title.textContent = spoken(name);
  about.textContent = description;
  row.append(box, title, about);
  box.addEventListener("change", () => ask(false));
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
  const ready = await isReady();
  at("status").classList.toggle("ready", ready);
  const text = ready ? "Ready" : "Not ready yet…";
  if (at("status").textContent !== text) at("status").textContent = text;
  setTimeout(watchReadiness, ready ? 15_000 : 1_000);
}

async function useSample(button) {
  const suited = document.querySelector(`#tasks input[value="${button.dataset.task}"]`);
  if (suited) suited.checked = true;
  takePicture(await fetchBlob(button.dataset.src), button);
}

tabs(document.querySelector("[role=tablist]"), (id) => {
  byExample = id === "tab-example";
  ask(false);
});
pictureField(at("file"), takePicture);
pictureField(at("example-input"), (blob) => takeExample("input", blob));
pictureField(at("example-output"), (blob) => takeExample("output", blob));
pictureAnywhere(takePicture);
for (const button of document.querySelectorAll(".samples button")) button.addEventListener("click", () => useSample(button));
for (const radio of document.querySelectorAll("input[name=size]")) radio.addEventListener("change", () => ask(true));
at("again").addEventListener("click", () => ask(true));
at("sample-pair").addEventListener("click", async () => {
  takeExample("input", await fetchBlob("static/samples/lemon.jpg"));
  takeExample("output", await fetchBlob("static/samples/lemon-mask.png"));
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.value = at("key").value.trim();
  at("key").removeAttribute("aria-invalid");
  ask(true);
});

watchReadiness();
loadTasks().catch(() => { at("hint").textContent = "The list of tasks could not be read."; });
wantsKey().then((wanted) => { if (wanted) askForKey(); }, () => {});
