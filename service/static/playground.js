// The playground: one picture, one task or example pair, one answer. Every request is the public POST /infer.

const at = (id) => document.getElementById(id);
const chosen = { picture: null, task: null, oneShot: false };
const example = { input: null, output: null };
let tasks = [];
let latest = 0; // Answers that were overtaken by a newer question are not shown.

async function problemText(response) {
  const fallback = `The server answered ${response.status}.`;
  return response.json().then((problem) => problem.detail ?? fallback, () => fallback);
}

function show(image, blob) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
}

function showTiming(header, total) {
  const stages = [...(header ?? "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
  const rows = [...stages, ["round trip", total]].map(([name, ms]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = name;
    value.textContent = `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
    row.append(term, value);
    return row;
  });
  at("timing").replaceChildren(...rows);
  at("timing").hidden = false;
}

function question() {
  if (!chosen.picture) return null;
  const form = new FormData();
  form.set("image", chosen.picture);
  form.set("size", document.querySelector("input[name=size]:checked").value);
  if (chosen.oneShot) {
    if (!example.input || !example.output) return null;
    form.set("example_input", example.input);
    form.set("example_output", example.output);
  } else {
    if (!chosen.task) return null;
    form.set("task", chosen.task);
  }
  return form;
}

async function ask() {
  const body = question();
  if (!body) return;
  const number = ++latest;
  at("message").textContent = "";
  at("answer-frame").classList.add("busy");
  const started = performance.now();
  try {
    const response = await fetch("infer", { method: "POST", body, headers: { Accept: "image/*" } });
    if (!response.ok) throw new Error(await problemText(response));
    const blob = await response.blob();
    if (number !== latest) return;
    show(at("answer"), blob);
    at("save").href = at("answer").src;
    at("save").hidden = false;
    at("answer-caption").textContent = chosen.oneShot ? "Answer from the example" : `Answer: ${spoken(chosen.task)}`;
    showTiming(response.headers.get("Server-Timing"), performance.now() - started);
  } catch (error) {
    if (number !== latest) return;
    at("answer").hidden = true;
    at("timing").hidden = true;
    at("save").hidden = true;
    at("message").textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
  } finally {
    if (number === latest) at("answer-frame").classList.remove("busy");
  }
}

function pickPicture(blob) {
  chosen.picture = blob;
  show(at("query"), blob);
  at("run-one-shot").disabled = !(example.input && example.output);
  ask();
}

function pickTask(name) {
  chosen.task = name;
  chosen.oneShot = false;
  for (const button of at("tasks").children) button.setAttribute("aria-pressed", String(button.value === name));
  at("about").textContent = tasks.find((task) => task.name === name)?.description ?? "";
}

function pickExample(side, blob) {
  example[side] = blob;
  const image = at(`example-${side}`).parentElement.querySelector("img");
  show(image, blob);
  at("run-one-shot").disabled = !(chosen.picture && example.input && example.output);
}

const fetchBlob = async (address) => (await fetch(address)).blob();
const spoken = (name) => name.replaceAll("_", " ");

function taskButton({ name }) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = name;
  button.textContent = spoken(name);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => { pickTask(name); ask(); });
  return button;
}

async function loadTasks() {
  tasks = (await (await fetch("tasks")).json()).tasks;
  at("tasks").replaceChildren(...tasks.map(taskButton));
  if (tasks.length) pickTask((tasks.find((task) => task.name === "segmentation") ?? tasks[0]).name);
  else {
    at("about").textContent = "No task is installed. An example pair works all the same:";
    at("one-shot").open = true;
  }
}

async function watchReadiness() {
  const ready = await fetch("readyz").then((response) => response.ok, () => false);
  at("status").classList.toggle("ready", ready);
  at("status").textContent = ready ? "Ready" : "The model is warming up…";
  if (!ready) setTimeout(watchReadiness, 1000);
}

function acceptDrops(zone, take) {
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

function acceptFiles(input, take) {
  input.addEventListener("change", () => { if (input.files[0]) take(input.files[0]); });
  acceptDrops(input.parentElement, take);
}

acceptFiles(at("file"), pickPicture);
acceptFiles(at("example-input"), (blob) => pickExample("input", blob));
acceptFiles(at("example-output"), (blob) => pickExample("output", blob));
for (const button of document.querySelectorAll(".samples button")) {
  button.addEventListener("click", async () => {
    const suited = tasks.find((task) => task.name === button.dataset.task);
    if (suited) pickTask(suited.name);
    pickPicture(await fetchBlob(button.dataset.src));
  });
}
for (const radio of document.querySelectorAll("input[name=size]")) radio.addEventListener("change", ask);
at("sample-pair").addEventListener("click", async () => {
  pickExample("input", await fetchBlob("static/samples/lemon.jpg"));
  pickExample("output", await fetchBlob("static/samples/lemon-mask.png"));
});
at("run-one-shot").addEventListener("click", () => {
  chosen.oneShot = true;
  for (const button of at("tasks").children) button.setAttribute("aria-pressed", "false");
  at("about").textContent = "";
  ask();
});

watchReadiness();
loadTasks().catch(() => { at("message").textContent = "The list of tasks could not be read."; });
