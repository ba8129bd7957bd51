// A QR code as an SVG.

import { correction, generate } from "/_weir/vendor/lean-qr/index.mjs";
import { svg } from "./dom.mjs";

/** Cells of quiet space that the standard asks for around a code. */
const MARGIN = 4;

export function draw(node, text) {
  const code = generate(text, { minCorrectionLevel: correction.M });
  let path = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) {
      if (code.get(x, y)) path += `M${x} ${y}h1v1h-1z`;
    }
  }
  const size = code.size + 2 * MARGIN;
  node.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${size} ${size}`);
  node.replaceChildren(svg("path", { d: path, "shape-rendering": "crispEdges" }));
}
