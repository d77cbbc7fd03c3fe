// A card: a question with its answer and how long that took, or why there is none.

import { comparison } from "./compare.js";

const STAGES = ["decode", "queue", "compute", "encode"];
const DOUBTFUL = 0.4;
export const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

// Lengths of a bar's parts add up to the round trip; what is no stage is network, upload and waiting for a thread.
function timingBar(stages, total) {
  const bar = element("div", "bar");
  bar.setAttribute("aria-hidden", "true");
  const spent = STAGES.map((stage) => [stage, stages[stage] ?? 0]);
  const rest = Math.max(0, total - spent.reduce((sum, [, ms]) => sum + ms, 0));
  for (const [stage, ms] of [...spent, ["rest", rest]]) {
    const part = element("span", stage);
    part.style.flexGrow = ms;
    bar.append(part);
  }
  return bar;
}

function timingList(stages) {
  const list = element("dl", "stages");
  for (const stage of STAGES.filter((name) => name in stages)) {
    const entry = element("div", stage);
    entry.append(element("dt", "", stage), element("dd", "", milliseconds(stages[stage])));
    list.append(entry);
  }
  return list;
}

// How far an answer can be trusted: the measure that such answers had on pictures where the truth was known.
function confidenceLine(confidence) {
  const percent = Math.round(100 * confidence);
  const line = element("p", confidence < DOUBTFUL ? "confidence doubtful" : "confidence");
  const meter = element("span", "meter");
  const level = element("span", "");
  line.title = "What such answers were worth on pictures where the truth was known: of a mask the overlap, else 1 less the error.";
  meter.setAttribute("aria-hidden", "true");
  level.style.width = `${percent}%`;
  meter.append(level);
  line.append(element("span", "", "Confidence"), meter, element("strong", "", `${percent} %`));
  if (confidence < DOUBTFUL) line.append(element("span", "doubt", "doubtful"));
  return line;
}

function classBars(classes) {
  const list = element("ol", "classes");
  for (const { label, score } of classes) {
    const entry = element("li", "");
    const meter = element("span", "meter");
    const level = element("span", "");
    meter.setAttribute("aria-hidden", "true");
    level.style.width = `${100 * score}%`;
    meter.append(level);
    entry.append(element("span", "label", label), element("strong", "", `${(100 * score).toFixed(1)} %`), meter);
    list.append(entry);
  }
  return list;
}

export class Card {
  #address = "";

  constructor(title, about = "") {
    this.title = title;
    this.root = element("li", "answer");
    this.frame = element("div", "frame");
    this.time = element("span", "time");
    this.details = element("div", "details");
    const head = element("div", "head");
    head.append(element("h3", "", title), this.time);
    this.root.append(this.frame, head, element("p", "soft about", about), this.details);
  }

  // Whether there is nothing to see, and nothing on its way.
  get isOpen() { return !this.frame.firstChild && !this.root.classList.contains("busy"); }

  wait() {
    this.root.classList.add("busy");
    this.root.setAttribute("aria-busy", "true");
  }

  // `picture` is the address of what was asked about.
  show({ blob, classes, confidence = null, stages, total }, picture) {
    this.clear();
    this.time.textContent = milliseconds(total);
    if (classes) this.frame.replaceChildren(classBars(classes));
    else this.frame.replaceChildren(this.#compared(blob, picture));
    this.details.append(timingBar(stages, total), timingList(stages));
    if (confidence !== null) this.details.prepend(confidenceLine(confidence));
    if (blob) this.details.append(this.#save());
  }

  fail(message) {
    this.clear();
    this.details.append(element("p", "failure", message));
  }

  clear() {
    this.root.classList.remove("busy");
    this.root.removeAttribute("aria-busy");
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
    this.time.textContent = "";
    this.frame.replaceChildren();
    this.details.replaceChildren();
  }

  #compared(blob, picture) {
    this.#address = URL.createObjectURL(blob);
    const answer = element("img", "");
    Object.assign(answer, { src: this.#address, alt: `The model's answer: ${this.title}` });
    return comparison(picture, answer, this.title);
  }

  #save() {
    const save = element("a", "save", "Save");
    Object.assign(save, { href: this.#address, download: `${this.title.replaceAll(" ", "-")}.png` });
    save.setAttribute("aria-label", `Save the answer: ${this.title}`);
    return save;
  }
}
