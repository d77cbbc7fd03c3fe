// A card: one picture with its title, how long it took, or why there is none.

const STAGES = ["decode", "queue", "compute", "encode"];
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

export class Card {
  constructor(title, about = "") {
    this.title = title;
    this.root = element("li", "answer");
    this.frame = element("div", "frame");
    this.image = element("img", "");
    this.image.hidden = true;
    this.frame.append(this.image);
    this.head = element("div", "head");
    this.time = element("span", "time");
    this.head.append(element("h3", "", title), this.time);
    this.details = element("div", "details");
    this.root.append(this.frame, this.head, element("p", "soft about", about), this.details);
  }

  // Whether there is nothing to see, and nothing on its way.
  get isOpen() { return !this.image.src && !this.root.classList.contains("busy"); }

  wait() {
    this.root.classList.add("busy");
    this.root.setAttribute("aria-busy", "true");
  }

  show(blob, alt) {
    this.clear();
    this.image.src = URL.createObjectURL(blob);
    this.image.alt = alt;
    this.image.hidden = false;
  }

  showAnswer({ blob, stages, total }) {
    this.show(blob, `The model's answer: ${this.title}`);
    this.time.textContent = milliseconds(total);
    const save = element("a", "save", "Save");
    save.href = this.image.src;
    save.download = `${this.title.replaceAll(" ", "-")}.png`;
    save.setAttribute("aria-label", `Save the answer: ${this.title}`);
    this.details.replaceChildren(timingBar(stages, total), timingList(stages), save);
  }

  fail(message) {
    this.clear();
    this.details.replaceChildren(element("p", "failure", message));
  }

  clear() {
    this.root.classList.remove("busy");
    this.root.removeAttribute("aria-busy");
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.image.hidden = true;
    this.image.removeAttribute("src");
    this.time.textContent = "";
    this.details.replaceChildren();
  }
}
