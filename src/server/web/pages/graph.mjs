// A graph of a Series: a line over a soft area, as an SVG that fills its box.

import { svg } from "./dom.mjs";
import { paths } from "./series.mjs";

export class Graph {
  /** @param {string} label what it shows, for those who do not see it */
  constructor(label, width = 120, height = 32) {
    this.width = width;
    this.height = height;
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    const box = { class: "graph", viewBox: `0 -1 ${width} ${height + 2}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
    this.node = svg("svg", box, this.area, this.line);
  }

  draw(series, top) {
    const { line, area } = paths(series, this.width, this.height, top);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}
