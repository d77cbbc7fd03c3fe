// A brush over the picture: where a task that fills holes shall paint.

const LONGEST = 1200; // pixels of what is shown while painting
const STEP = 0.03; // an arrow key's, as a share of the picture's longer side

// Strokes are kept as they were made, in the picture's pixels: they can be taken back, and drawn at any size.
export class Painter {
  #strokes = [];
  #painting = false;
  #size = { width: 1, height: 1 };
  #brush = { x: 0, y: 0 };

  // `canvas` lies over the picture and `ring`, the brush's outline, over both; `radius()` is the brush's share of the
  // picture's longer side; `changed()` is called when a stroke has ended or was taken back.
  constructor(canvas, ring, radius, changed) {
    Object.assign(this, { canvas, ring, radius, changed });
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#end());
    canvas.addEventListener("pointercancel", () => this.#end());
    canvas.addEventListener("keydown", (event) => this.#press(event));
  }

  get isEmpty() { return !this.#strokes.length; }

  // A new picture; `strokes` are what is painted already: [share of the longer side, x, y, x, y, ...], shares too.
  take(width, height, strokes = []) {
    this.#size = { width, height };
    const longer = Math.max(width, height);
    this.#strokes = strokes.map(([radius, ...places]) => ({
      radius: radius * longer,
      points: places.flatMap((x, index) => (index % 2 ? [] : [[x * width, places[index + 1] * height]])),
    }));
    const scale = Math.min(1, LONGEST / longer);
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.#place(width / 2, height / 2);
    this.#redraw();
  }

  undo() {
    this.#strokes.pop();
    this.#redraw();
    this.changed();
  }

  clear() {
    this.#strokes = [];
    this.#redraw();
    this.changed();
  }

  // A PNG file of the picture's size, white where the brush was; null where it was nowhere.
  async mask() {
    if (this.isEmpty) return null;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, this.#size);
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, canvas.width, canvas.height);
    for (const stroke of this.#strokes) draw(context, stroke, "#fff");
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  outline() { this.#place(this.#brush.x, this.#brush.y); }

  get #longer() { return Math.max(this.#size.width, this.#size.height); }

  #place(x, y) {
    const { width, height } = this.#size;
    this.#brush = { x: Math.min(Math.max(x, 0), width), y: Math.min(Math.max(y, 0), height) };
    this.ring.style.left = `${(100 * this.#brush.x) / width}%`;
    this.ring.style.top = `${(100 * this.#brush.y) / height}%`;
    this.ring.style.width = `${(200 * this.radius() * this.#longer) / width}%`;
  }

  #follow(event) {
    const { width, height } = this.#size;
    const box = this.canvas.getBoundingClientRect();
    this.#place(((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height);
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#painting = true;
    this.#follow(event);
    this.#strokes.push({ radius: this.radius() * this.#longer, points: [] });
    this.#add();
  }

  #move(event) {
    this.#follow(event);
    if (this.#painting) this.#add();
  }

  #end() {
    if (!this.#painting) return;
    this.#painting = false;
    this.changed();
  }

  #press(event) {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (x || y) {
      this.#place(this.#brush.x + x * STEP * this.#longer, this.#brush.y + y * STEP * this.#longer);
    } else if (event.key === " " || event.key === "Enter") {
      this.#strokes.push({ radius: this.radius() * this.#longer, points: [] });
      this.#add();
      this.changed();
    } else return;
    event.preventDefault();
  }

  #add() {
    const stroke = this.#strokes.at(-1);
    stroke.points.push([this.#brush.x, this.#brush.y]);
    this.#draw({ ...stroke, points: stroke.points.slice(-2) });
  }

  #redraw() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.#strokes.forEach((stroke) => this.#draw(stroke));
  }

  #draw(stroke) {
    const context = this.canvas.getContext("2d");
    context.setTransform(this.canvas.width / this.#size.width, 0, 0, this.canvas.height / this.#size.height, 0, 0);
    draw(context, stroke, getComputedStyle(this.canvas).color);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
}

function draw(context, { radius, points }, colour) {
  const [[x, y]] = points;
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 2 * radius, lineCap: "round", lineJoin: "round" });
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.beginPath();
  context.moveTo(x, y);
  for (const point of points.slice(1)) context.lineTo(...point);
  context.stroke();
}
