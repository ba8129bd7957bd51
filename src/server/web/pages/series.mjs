// The last values of something, and the line that they make in a graph.
//
// Pure. Bounds: `length` values; older ones are forgotten. A gap (null) breaks the line.

/** Values that fill a graph at least. */
const SHORTEST = 30;

export class Series {
  constructor(length) {
    this.length = length;
    this.values = [];
  }

  push(value) {
    this.values.push(typeof value === "number" && Number.isFinite(value) ? value : null);
    if (this.values.length > this.length) this.values.shift();
  }

  get max() {
    return this.values.reduce((most, value) => Math.max(most, value ?? 0), 0);
  }
}

/** The next of 1, 2, 5, 10, 20, 50, ... that is not below `value`: graphs that do not rescale all the time. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((step) => step * power >= value * (1 - 1e-9));
  return step * power;
}

/**
 * Path data of SVG for a series in a box; the newest value is at the right edge.
 * @returns {{line: string, area: string}}
 */
export function paths(series, width, height, top = ceiling(series.max)) {
  // A graph that has just begun shows its first minute stretched, not a spot at its edge.
  const span = Math.min(series.length, Math.max(SHORTEST, series.values.length));
  const step = width / Math.max(1, span - 1);
  const first = span - series.values.length;
  const runs = [];
  let run = null;
  series.values.forEach((value, index) => {
    if (value === null) {
      run = null;
      return;
    }
    if (run === null) runs.push((run = []));
    const y = height - (Math.min(value, top) / top) * height;
    run.push([((first + index) * step).toFixed(1), y.toFixed(1)]);
  });
  const line = runs.map((run) => "M" + run.map((point) => point.join(" ")).join("L")).join("");
  const area = runs
    .map((run) => `M${run[0][0]} ${height}L${run.map((point) => point.join(" ")).join("L")}L${run.at(-1)[0]} ${height}Z`)
    .join("");
  return { line, area };
}
