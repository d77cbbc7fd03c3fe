// A picture and its answer, one over the other, with a slider between them.

const HALF = 50; // percent

// Left of the slider is the picture, right of it the answer. The slider is a range field: mouse, touch and keys move it.
export function comparison(picture, answer, title) {
  const stage = document.createElement("div");
  const before = document.createElement("img");
  const slider = document.createElement("input");
  const handle = document.createElement("span");
  stage.className = "compare";
  handle.className = "handle";
  answer.className = "after";
  Object.assign(before, { src: picture, alt: "" });
  Object.assign(slider, { type: "range", min: 0, max: 100, value: HALF });
  slider.setAttribute("aria-label", `Between the picture and the answer: ${title}`);

  function cut() {
    stage.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${100 - slider.value} % of the answer`);
  }

  slider.addEventListener("input", cut);
  cut();
  stage.append(before, answer, handle, slider);
  return stage;
}
