// Server-sent events, however they are cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventReader, MAX_EVENT } from "../../../src/server/web/pages/events.mjs";

const STREAM = ': hello\nevent: server\ndata: {"a": 1}\n\nevent:streams\r\ndata:x\r\ndata: y\r\n\r\ndata: z\nretry: 5\n\nevent: nothing\n\n: end\n';
const EVENTS = [{ type: "server", data: '{"a": 1}' }, { type: "streams", data: "x\ny" }, { type: "message", data: "z" }];

test("events come out the same wherever the text is cut", () => {
  assert.deepEqual(new EventReader().push(STREAM), EVENTS);
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    const reader = new EventReader();
    assert.deepEqual([...reader.push(STREAM.slice(0, cut)), ...reader.push(STREAM.slice(cut))], EVENTS, "cut at " + cut);
  }
  const reader = new EventReader();
  assert.deepEqual([...STREAM].flatMap((char) => reader.push(char)), EVENTS);
});

test("an event without its end is none", () => {
  assert.deepEqual(new EventReader().push("event: server\ndata: 1\n"), []);
});

test("an event without bounds is refused, on one line or many", () => {
  const long = "x".repeat(MAX_EVENT / 2);
  const reader = new EventReader();
  reader.push("data: " + long);
  assert.throws(() => reader.push(long + long));
  const lines = new EventReader();
  lines.push("data: " + long + "\n");
  assert.throws(() => lines.push("data: " + long + "x\n"));
});
