// Graphs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Series, ceiling, paths } from "../../../src/server/web/pages/series.mjs";

test("a series keeps the last values and takes what is no number for a gap", () => {
  const series = new Series(3);
  for (const value of [9, 1, undefined, 3]) series.push(value);
  assert.deepEqual(series.values, [1, null, 3]);
  assert.equal(series.max, 3);
  assert.equal(new Series(3).max, 0);
});

test("the top of a graph is a round number not below its values", () => {
  assert.deepEqual([0, NaN, 0.3, 1, 1.1, 4, 5, 5.1, 1_900_000, 2e6].map(ceiling), [1, 1, 0.5, 1, 2, 5, 5, 10, 2e6, 2e6]);
});

test("the newest value is at the right edge and the highest below the top", () => {
  const series = new Series(30);
  for (const value of [0, 5, 10]) series.push(value);
  const { line, area } = paths(series, 290, 100);
  assert.equal(line, "M270.0 100.0L280.0 50.0L290.0 0.0");
  assert.equal(area, "M270.0 100L270.0 100.0L280.0 50.0L290.0 0.0L290.0 100Z");
});

test("a gap breaks the line", () => {
  const series = new Series(30);
  for (const value of [1, null, 1]) series.push(value);
  assert.equal(paths(series, 29, 1).line.match(/M/g).length, 2);
  assert.deepEqual(paths(new Series(30), 29, 1), { line: "", area: "" });
});
