// Small helpers around the DOM: elements, text that is set only when it has changed, copying, buttons that ask twice.

export const byId = (id) => document.getElementById(id);

/** An element; properties that do not exist on it become attributes, functions become listeners ("onclick"). */
export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Writing the same text again would still cost layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Without https there is no navigator.clipboard, and most boards have none: the old way then. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { value: text, className: "away", readOnly: true });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** One line of `.addresses`: a label, a text, a button that copies it. */
export function copyLine(label, text, hint) {
  const button = el("button", { type: "button", "aria-label": "Copy " + label }, "Copy");
  let timer = 0;
  button.addEventListener("click", async () => {
    setText(button, (await copy(text)) ? "Copied" : "Select it");
    clearTimeout(timer);
    timer = setTimeout(() => setText(button, "Copy"), 1500);
  });
  return el(
    "li",
    {},
    el("span", { className: "label" }, label, hint ? el("span", { className: "soft small" }, " " + hint) : null),
    el("span", { className: "value" }, text),
    button,
  );
}

/** A button that does what it says at the second press within 3 s. */
export function sureButton(text, question, action) {
  const button = el("button", { type: "button", className: "danger" }, text);
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("sure");
    setText(button, text);
  };
  button.addEventListener("click", () => {
    if (timer) {
      calm();
      action(button);
    } else {
      button.classList.add("sure");
      setText(button, question);
      timer = setTimeout(calm, 3000);
    }
  });
  return button;
}
