// Parts of the page that know nothing of the model: tabs, places to drop a picture.

// Arrow keys move between tabs, as screen readers expect; `opened` gets the id of the tab that is shown.
export function tabs(list, opened) {
  const all = [...list.querySelectorAll("[role=tab]")];

  function open(tab) {
    for (const each of all) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", String(chosen));
      each.tabIndex = chosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    opened(tab.id);
  }

  for (const tab of all) tab.addEventListener("click", () => open(tab));
  list.addEventListener("keydown", (event) => {
    const here = all.indexOf(document.activeElement);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = all[(to + all.length) % all.length];
    tab.focus();
    open(tab);
  });
  return open;
}

const fileOf = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));

function acceptDrops(zone, take) {
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    const file = fileOf(event.dataTransfer);
    if (file) take(file);
  });
}

// A file field inside its label, where a picture may be dropped too.
export function pictureField(input, take) {
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  acceptDrops(input.parentElement, take);
}

// A picture dropped or pasted anywhere else on the page.
export function pictureAnywhere(take) {
  acceptDrops(document.body, take);
  document.addEventListener("paste", (event) => {
    const file = fileOf(event.clipboardData);
    if (file) take(file);
  });
}
